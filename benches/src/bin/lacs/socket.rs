//! The fleet over real UDP sockets, one for each own address.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::Arguments;
use crate::fleet::{Fleet, Tally};

/// Larger than any packet of a control connection or of PPP's negotiation.
const DATAGRAM_OCTETS: usize = 2048;
/// A wait when nothing is due and nothing came.
const IDLE: Duration = Duration::from_micros(200);

/// Has all LACs log in to `server`, and holds them for `hold_s`.
///
/// # Errors
/// When a socket cannot be had or fails.
pub(crate) fn run(arguments: &Arguments, server: SocketAddr) -> Result<Tally, Box<dyn Error>> {
    let mut sources = arguments.source.clone();
    if sources.is_empty() {
        sources.push("0.0.0.0:0".parse()?);
    }
    let sockets = sources.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let addresses = sockets
        .iter()
        .map(UdpSocket::local_addr)
        .collect::<Result<Vec<_>, _>>()?;
    let mut fleet = Fleet::new(arguments.plan(server, addresses.clone()), arguments.seed);
    let started = Instant::now();
    let end = Duration::from_secs(arguments.timeout_s);
    let hold = Duration::from_secs(arguments.hold_s);
    let mut told = Duration::ZERO;
    loop {
        let now = started.elapsed();
        let complete = fleet.tally().complete_at;
        if now >= end || complete.is_some_and(|at| now >= at + hold) {
            return Ok(fleet.tally().clone());
        }
        if now >= told + Duration::from_secs(1) {
            told = now;
            eprintln!("{:3} s: {} open", now.as_secs(), fleet.tally().open);
        }
        fleet.handle_timeout(now);
        let mut idle = true;
        while let Some(datagram) = fleet.poll_output() {
            idle = false;
            let place = addresses.iter().position(|own| *own == datagram.source);
            let socket = &sockets[place.unwrap_or_default()];
            send(socket, &datagram.payload, datagram.destination)?;
        }
        for (socket, &own) in sockets.iter().zip(&addresses) {
            idle &= !receive(socket, own, &mut fleet, started)?;
        }
        if idle {
            std::thread::sleep(IDLE);
        }
    }
}

fn open(address: &SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A datagram that the kernel has no room for is lost, as on any way.
fn send(socket: &UdpSocket, payload: &[u8], to: SocketAddr) -> std::io::Result<()> {
    match socket.send_to(payload, to) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// Takes in what has come; says whether anything has.
fn receive(
    socket: &UdpSocket,
    own: SocketAddr,
    fleet: &mut Fleet,
    started: Instant,
) -> std::io::Result<bool> {
    let mut datagram = [0; DATAGRAM_OCTETS];
    let mut any = false;
    // Timers have their turn even when datagrams never end.
    for _ in 0..256 {
        match socket.recv_from(&mut datagram) {
            Ok((octets, _)) => {
                any = true;
                fleet.handle_datagram(started.elapsed(), own, &datagram[..octets]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // An ICMP error about an earlier datagram: the protocol sends it again.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
    Ok(any)
}
