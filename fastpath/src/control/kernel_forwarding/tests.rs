//! On the loopback device, which is everywhere, with switches that are files of the test.

use super::*;

struct Place {
    dir: PathBuf,
}

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ze-forwarding-{name}-{}", std::process::id()));
        for family in FAMILIES {
            fs::create_dir_all(dir.join(family).join("conf/lo")).unwrap();
        }
        let place = Self { dir };
        place.set(["1", "1"]);
        place
    }

    fn open(&self) -> KernelForwarding {
        KernelForwarding::open_at(&self.dir, &self.dir)
    }

    fn set(&self, values: [&str; 2]) {
        for (family, value) in FAMILIES.iter().zip(values) {
            fs::write(self.dir.join(family).join("conf/lo/forwarding"), value).unwrap();
        }
    }

    fn values(&self) -> [String; 2] {
        FAMILIES.map(|family| fs::read_to_string(self.dir.join(family).join("conf/lo/forwarding")).unwrap())
    }

    fn record(&self) -> Option<String> {
        fs::read_to_string(self.dir.join(RECORD)).ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn a_device_that_does_not_exist_is_an_error_and_nothing_is_written_down() {
    let place = Place::new("none");
    assert!(place.open().switch_off("ze-no-device").is_err());
    assert_eq!(place.record(), None);
}

#[test]
fn what_was_on_is_put_back_and_what_was_off_stays_off() {
    let place = Place::new("back");
    place.set(["1", "0"]);
    let mut forwarding = place.open();
    forwarding.switch_off("lo").unwrap();
    assert_eq!(place.values(), ["0", "0"]);
    forwarding.restore_except(|device| device == "lo");
    assert_eq!(place.values(), ["0", "0"], "the port is still there");
    forwarding.restore_except(|_| false);
    assert_eq!(place.values(), ["1", "0"]);
    assert_eq!(place.record(), None);
}

#[test]
fn a_life_that_was_killed_is_followed_by_one_that_puts_back_what_it_left() {
    let place = Place::new("killed");
    place.open().switch_off("lo").unwrap();
    assert_eq!(place.record().unwrap().lines().count(), 2);
    let mut next = place.open();
    // It opens the port as the first did, and finds the switches off.
    next.switch_off("lo").unwrap();
    drop(next);
    place.open().restore_except(|_| false);
    assert_eq!(place.values(), ["1", "1"]);
}

#[test]
fn a_record_of_another_device_or_of_nonsense_switches_nothing_on() {
    let place = Place::new("nonsense");
    place.set(["0", "0"]);
    let lines = "ipv4 lo 4095\nipv4 ../../lo 1\nipv7 lo 1\nipv4 lo\nipv6 lo 1 more\n\u{0}\n";
    fs::write(place.dir.join(RECORD), lines).unwrap();
    place.open().restore_except(|_| false);
    assert_eq!(place.values(), ["0", "0"]);
    assert_eq!(place.record(), None);
}
