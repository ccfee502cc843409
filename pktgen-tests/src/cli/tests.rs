//! What the command refuses, as a user meets it.

use clap::Parser;

use super::{Args, Command, fuzz, import, run};

/// Why a command line is refused, by the parser or by the command.
fn refusal(line: &str) -> String {
    let args = match Args::try_parse_from(line.split(' ')) {
        Ok(args) => args,
        Err(error) => return error.to_string(),
    };
    let done = match &args.command {
        Command::Run(args) => run::run(args),
        Command::Import(args) => import::run(args),
        Command::Fuzz(args) => fuzz::run(args),
        Command::Generate(_) | Command::Receive(_) | Command::Replay(_) => panic!("{line} needs devices"),
    };
    done.map_or_else(|error| format!("{error:#}"), |fine| panic!("{line} is not refused: {fine}"))
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
    ];
    for (line, reason) in cases {
        let why = refusal(&line);
        assert!(why.contains(reason), "{line}: {why}");
    }
}
