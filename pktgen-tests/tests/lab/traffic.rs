//! `ze-pktgen generate`, `receive` and `replay` on a veth. Packets are counted; rates are not judged.

use std::process::Command;
use std::time::{Duration, Instant};

use ze_pktgen::lab::{Lab, Namespace, VethOptions};
use ze_pktgen::require_lab_with_xdp;
use ze_pktgen::traffic::Sink;

/// Two devices of one namespace, `a` and `b`, joined by a cable.
fn cable(lab: &Lab, queues: u32) -> anyhow::Result<Namespace> {
    let host = lab.quiet_namespace("host")?;
    lab.veth(&host, "a", &host, "b", &VethOptions { queues, ..VethOptions::default() })?;
    Ok(host)
}

fn ze_pktgen(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ze-pktgen"));
    command.args(line.split_whitespace());
    command
}

const FLOWS: &str =
    "--to-mac 02:00:00:00:00:01 --source 10.0.0.1-10.0.0.9 --destination random:198.18.0.0/15 --flows 100";

#[test]
fn what_is_generated_arrives_through_all_queues_with_its_layers() -> anyhow::Result<()> {
    require_lab_with_xdp!();
    let lab = Lab::new("traffic")?;
    let host = cable(&lab, 2)?;
    for shape in ["--size imix", "--layer svlan:5 --layer vlan:6 --protocol tcp --size 128"] {
        let line = format!("generate a {FLOWS} {shape} --rate 20k --count 2000 --sink b --json");
        let output = host.output(ze_pktgen(&line))?;
        let said: serde_json::Value = serde_json::from_str(&output)?;
        assert_eq!(
            (&said["sent"], &said["received"], &said["lost"]),
            (&2000.into(), &2000.into(), &0.into()),
            "{said}"
        );
        assert_eq!(
            (&said["reordered"], &said["duplicates"], &said["corrupt"]),
            (&0.into(), &0.into(), &0.into())
        );
        assert!(said["latency_us"]["p50"].as_f64() > Some(0.0), "{said}");
    }
    Ok(())
}

#[test]
fn the_receiver_takes_one_run_and_no_other() -> anyhow::Result<()> {
    require_lab_with_xdp!();
    let lab = Lab::new("receive")?;
    let host = cable(&lab, 1)?;
    let mut receiver = host.spawn("receive", ze_pktgen("receive b --run 7 --idle 0.5 --json"))?;
    receiver.wait_for_line("b (veth)", Duration::from_secs(5))?;
    for run in [8, 7] {
        host.output(ze_pktgen(&format!("generate a {FLOWS} --run {run} --rate 20k --count 500 --json")))?;
    }
    assert!(receiver.wait(Duration::from_secs(10))?.success(), "{}", receiver.log());
    let log = receiver.log();
    let said: serde_json::Value = serde_json::from_str(log.lines().last().unwrap_or_default())?;
    assert_eq!((&said["received"], &said["lost"]), (&500.into(), &0.into()), "{said}");
    assert!(said["foreign"].as_u64() >= Some(500), "{said}");
    Ok(())
}

#[test]
fn a_capture_is_sent_again_frame_by_frame() -> anyhow::Result<()> {
    require_lab_with_xdp!();
    let lab = Lab::new("replay")?;
    let host = cable(&lab, 1)?;
    let frames: Vec<Vec<u8>> = (1..=5_u8).map(|number| vec![number; 60 + usize::from(number)]).collect();
    let file = lab.directory().join("five.pcap");
    std::fs::write(&file, pcap(&frames))?;
    let mut sink = host.run(|| Sink::open("b"))??;
    let said = host.output(ze_pktgen(&format!("replay {} a --turns 2 --json", file.display())))?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    assert_eq!((&said["sent"], &said["left_out"]), (&10.into(), &0.into()), "{said}");
    let (mut seen, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(5));
    while seen.len() < 10 && Instant::now() < deadline {
        sink.poll(|frame| seen.push(frame.to_vec()));
    }
    sink.close();
    assert_eq!(seen, [&frames[..], &frames[..]].concat());
    Ok(())
}

#[test]
fn a_device_that_is_down_is_refused_too_small_a_mtu_is_told_and_nobody_has_to_read_it() -> anyhow::Result<()>
{
    require_lab_with_xdp!();
    let lab = Lab::new("down")?;
    let host = cable(&lab, 1)?;
    let line = format!("generate a {FLOWS} --count 10");
    for (out, err) in [("/dev/full", "/dev/null"), ("/dev/null", "/dev/full")] {
        let file = |path| std::fs::OpenOptions::new().write(true).open(path);
        let mut command = ze_pktgen(&line);
        command.stdout(file(out)?).stderr(file(err)?);
        assert_eq!(host.run(|| command.status())??.code(), Some(0), "stdout {out}, stderr {err}");
    }
    let too_long = host.run(|| ze_pktgen(&format!("{line} --size 1519")).output())??;
    let note = String::from_utf8(too_long.stderr)?;
    assert!(note.contains("packets of 1501 bytes are larger than the MTU of a, 1500"), "{note}");
    host.set_link_down("a")?;
    let refused = host.run(|| ze_pktgen(&line).output())??;
    let why = String::from_utf8(refused.stderr)?;
    assert_eq!(refused.status.code(), Some(2), "{why}");
    assert!(why.contains("device a is down"), "{why}");
    Ok(())
}

/// A pcap file, a millisecond between frames.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let header = [0xa1b2_c3d4_u32, 4 << 16 | 2, 0, 0, 65535, 1];
    let mut file: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    for (number, frame) in frames.iter().enumerate() {
        let record = [1, number as u32 * 1000, frame.len() as u32, frame.len() as u32];
        file.extend(record.iter().flat_map(|word| word.to_le_bytes()));
        file.extend(frame);
    }
    file
}
