use super::*;

#[test]
fn no_labs_prefix_with_a_dash_begins_anothers_names() {
    let prefixes =
        [prefix("demo", 12, 1), prefix("demo", 12, 2), prefix("demo", 123, 1), prefix("demo-a1", 2, 1)];
    assert_eq!(prefixes[..2], ["ze-demo-12", "ze-demo-12.2"]);
    for (index, one) in prefixes.iter().enumerate() {
        for other in prefixes.iter().skip(index + 1) {
            assert!(!format!("{other}-lan").starts_with(&format!("{one}-")), "{one} {other}");
            assert!(!format!("{one}-lan").starts_with(&format!("{other}-")), "{one} {other}");
        }
    }
}

#[test]
fn names_that_would_confuse_a_shell_a_path_or_the_clean_up_are_refused() {
    for good in ["demo", "demo2", "demo-a1", &"x".repeat(24)] {
        check_lab_name(good).expect(good);
    }
    for bad in ["", "-x", "a b", "a/b", "Ä", "X", "a.b", "a;b", "demo-12", &"x".repeat(25)] {
        check_lab_name(bad).expect_err(bad);
    }
}
