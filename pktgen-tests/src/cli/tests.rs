//! What the command refuses, as a user meets it.

use super::{Command, fuzz, generate, import, parse, run, told};
use crate::lab::Interrupt;

const GENERATE: &str =
    "ze-pktgen generate --to-mac 02:00:00:00:00:01 --source 10.0.0.1 --destination 10.0.0.2";

/// Why a command line is refused, by the parser or by the command.
fn refusal(line: &str) -> String {
    let args = match parse(line.split(' ').map(Into::into)) {
        Ok(args) => args,
        Err(error) => return error.to_string(),
    };
    let done = match &args.command {
        Command::Run(args) => run::run(args),
        Command::Import(args) => import::run(args),
        Command::Fuzz(args) => fuzz::run(args),
        Command::Generate(args) => generate::run(args, &Interrupt::default()),
        Command::Receive(_) | Command::Replay(_) => panic!("{line} needs devices"),
    };
    done.map_or_else(|error| told(&error), |fine| panic!("{line} is not refused: {fine}"))
}

#[test]
fn what_nothing_would_come_of_is_refused() {
    let scenarios = "scenarios/limits.yaml";
    let router = "scenarios/routers/first-light.yaml";
    let cases = [
        (format!("ze-pktgen run --port lan0=a,b {scenarios}"), "for --backend nic"),
        (format!("ze-pktgen run --backend veth --port lan0=a,b {scenarios}"), "for --backend nic"),
        (
            format!("ze-pktgen run --backend nic --port lan0=a,b --port wan0=a,c {scenarios}"),
            "device a is named twice",
        ),
        (
            format!("ze-pktgen run --backend nic --port lan0=a,b --port lan0=c,d {scenarios}"),
            "port lan0 is named twice",
        ),
        (format!("ze-pktgen run --backend nic --port lan0=a,a {scenarios}"), "device a is named twice"),
        (format!("ze-pktgen fuzz --seconds 0 {scenarios}"), "0 is not in 1..="),
        (format!("ze-pktgen fuzz --seconds 1 --save no-such-place {scenarios}"), "--save no-such-place"),
        (format!("ze-pktgen import --router {router} --in dmz0 -o never x.pcap"), "there are: lan0, wan0"),
        ("ze-pktgen run src".to_owned(), "no scenario to play"),
        (format!("{GENERATE} nowhere"), "no device 'nowhere'"),
        (format!("{GENERATE} nowhere --from-mac 02:00:00:00:00:02"), "no device 'nowhere'"),
        (format!("{GENERATE} lo --sink lo"), "--sink lo is the device that sends"),
        (format!("{GENERATE} lo --rate -1"), "'-1' is no rate"),
        (format!("{GENERATE} lo --rate 0"), "0.1 to 1000M"),
        (format!("{GENERATE} lo --seconds -1"), "'-1' is no time"),
        (format!("{GENERATE} lo --count -1"), "invalid value '-1'"),
        (format!("{GENERATE} lo --size 63"), "63 is not in 64 to 1526"),
        (format!("{GENERATE} lo --size 64 --protocol tcp"), "the least is 70"),
        (format!("{GENERATE},2001:db8::1 lo"), "mixes families"),
    ];
    for (line, reason) in cases {
        let why = refusal(&line);
        assert!(why.contains(reason), "{line}: {why}");
    }
}
