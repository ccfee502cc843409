//! The API over TCP: certificates on both sides, or nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use ze_pktgen::daemons::{Binaries, Fastpath, FastpathOptions};
use ze_pktgen::lab::{Lab, Namespace};
use ze_pktgen::require_lab_with_xdp;

use crate::refusal_in;

const ADDRESS: &str = "127.0.0.1:7443";

/// An authority, and what it has signed: `NAME.crt` and `NAME.key` in a directory, its own as `ca.crt`.
fn authority(directory: &Path, name: &str, holders: &[(&str, &str)]) -> Result<()> {
    fs::create_dir_all(directory)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate()?;
    fs::write(directory.join("ca.crt"), params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    for (holder, host) in holders {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![(*host).to_owned()])?.signed_by(&key, &issuer)?;
        fs::write(directory.join(format!("{holder}.crt")), certificate.pem())?;
        fs::write(directory.join(format!("{holder}.key")), key.serialize_pem())?;
    }
    Ok(())
}

fn path(directory: &Path, file: &str) -> String {
    directory.join(file).display().to_string()
}

fn listening(ours: &Path, certificate: &str) -> FastpathOptions {
    let words = [
        ["--listen", ADDRESS],
        ["--tls-cert", &path(ours, &format!("{certificate}.crt"))],
        ["--tls-key", &path(ours, "daemon.key")],
        ["--tls-client-ca", &path(ours, "ca.crt")],
    ];
    let arguments = words.concat().into_iter().map(str::to_owned).collect();
    FastpathOptions { arguments, ..FastpathOptions::default() }
}

/// What `ze show version` says to the daemon at `address`, with these certificates.
fn ze(host: &Namespace, address: &str, daemon: &Path, client: &Path) -> Result<String> {
    let mut command = Command::new(Binaries::new(None).find("ze")?);
    command.args(["--address", address, "--tls-ca", &path(daemon, "ca.crt")]);
    command.args(["--tls-cert", &path(client, "client.crt"), "--tls-key", &path(client, "client.key")]);
    Ok(host.output({
        command.args(["show", "version"]);
        command
    })?)
}

fn refused(outcome: Result<String>) -> Result<String> {
    match outcome {
        Ok(said) => anyhow::bail!("it was let in: {said}"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[test]
fn the_api_over_tcp_lets_in_who_shows_a_certificate_of_the_authority_and_nobody_else() -> Result<()> {
    require_lab_with_xdp!();
    let lab = Lab::new("mtls")?;
    let host = lab.namespace("router")?;
    let (ours, theirs) = (lab.directory().join("ours"), lab.directory().join("theirs"));
    authority(&ours, "ours", &[("daemon", "127.0.0.1"), ("client", "operator")])?;
    authority(&theirs, "theirs", &[("client", "operator")])?;
    let fastpath = Fastpath::start(&lab, &host, &Binaries::new(None), &listening(&ours, "daemon"))?;

    let said = ze(&host, ADDRESS, &ours, &ours)?;
    ensure!(said.contains(&fastpath.client()?.info()?.version), "{said}");
    let said = refused(ze(&host, ADDRESS, &ours, &theirs))?;
    ensure!(said.contains(ADDRESS), "a client of another authority: {said}");
    let said = refused(ze(&host, ADDRESS, &theirs, &ours))?;
    ensure!(said.contains("certificate") && said.contains("--tls-ca"), "another daemon: {said}");
    let said = refused(ze(&host, "localhost:7443", &ours, &ours))?;
    ensure!(said.contains("certificate"), "a certificate for another host: {said}");

    // Who speaks HTTP/2 in the clear hears no HTTP/2: at most a TLS alert (RFC 8446 §5.1, content type 21).
    let heard = host.run(|| -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(ADDRESS)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
        let mut heard = Vec::new();
        match stream.read_to_end(&mut heard) {
            Err(e) if e.kind() != std::io::ErrorKind::ConnectionReset => Err(e.into()),
            Ok(_) | Err(_) => Ok(heard),
        }
    })??;
    ensure!(heard.first().is_none_or(|first| *first == 21), "{heard:?}");
    // All that, and the socket still answers.
    fastpath.client()?.info()?;
    Ok(())
}

#[test]
fn certificates_that_are_none_and_an_address_in_use_stop_the_daemon_before_it_starts() -> Result<()> {
    require_lab_with_xdp!();
    let lab = Lab::new("badtls")?;
    let ours = lab.directory().join("ours");
    authority(&ours, "ours", &[("daemon", "127.0.0.1")])?;
    fs::write(ours.join("broken.crt"), "not a certificate")?;
    let binaries = Binaries::new(None);
    let host = lab.namespace("router")?;
    let said = |certificate| -> Result<String> {
        refusal_in(&host, Fastpath::command(&lab, &binaries, &listening(&ours, certificate))?)
    };
    let broken = said("broken")?;
    ensure!(broken.contains("--tls-cert"), "{broken}");
    let missing = said("missing")?;
    ensure!(missing.contains("cannot read") && missing.contains("missing.crt"), "{missing}");
    let _other = host.run(|| std::net::TcpListener::bind(ADDRESS))?.context("listen")?;
    let used = said("daemon")?;
    ensure!(used.contains(&format!("cannot listen on {ADDRESS}")), "{used}");
    Ok(())
}
