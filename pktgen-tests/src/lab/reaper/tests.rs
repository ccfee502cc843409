use super::*;

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ze-reaper-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_name_is_claimed_once_and_locked_while_claimed() {
    let labs = Scratch::new("claim");
    let lock = claim_in(&labs.0, "ze-a-1").expect("writable").expect("free");
    assert!(claim_in(&labs.0, "ze-a-1").expect("writable").is_none(), "taken");
    let names: Vec<_> =
        fs::read_dir(&labs.0).expect("there").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["ze-a-1"], "nothing half-made is left");
    let owner = || File::open(labs.0.join("ze-a-1").join(OWNER_FILE)).expect("there");
    Flock::lock(owner(), FlockArg::LockExclusiveNonblock).expect_err("held");
    drop(lock);
    Flock::lock(owner(), FlockArg::LockExclusiveNonblock).expect("free again");
}

#[test]
fn what_is_not_a_labs_prefix_is_never_removed() {
    for wrong in ["", "eth0", "ze", "ze-", "ze-x", "ze-demo-", "../ze-a-1", "ze-a-1/..", "ze--1"] {
        remove(wrong).expect_err(wrong);
    }
}

#[test]
fn the_last_lab_takes_the_directory_of_labs_with_it_and_the_next_makes_it_again() {
    let scratch = Scratch::new("last");
    let labs = scratch.0.join("labs");
    let remove = |prefix: &str| {
        let script = labs.join(prefix).join(SCRIPT_FILE);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT]).arg(script).args([prefix, "remove"]);
        assert!(shell.status().expect("a shell").success(), "{prefix}");
    };
    for prefix in ["ze-reaper-1", "ze-reaper-2"] {
        claim_in(&labs, prefix).expect("writable").expect("free");
    }
    remove("ze-reaper-1");
    assert!(labs.join("ze-reaper-2").exists(), "the other lab stays");
    remove("ze-reaper-2");
    assert!(!labs.exists(), "nothing is left of them");
    claim_in(&labs, "ze-reaper-3").expect("writable").expect("free");
}
