//! The fleet over real UDP sockets, one for each own address.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::fleet::{Fleet, Plan, Tally};

/// Larger than any packet of a control connection or of PPP's negotiation.
const DATAGRAM_OCTETS: usize = 2048;
/// A wait when nothing is due and nothing came.
const IDLE: Duration = Duration::from_micros(200);

/// Has all LACs log in, as long as `goes_on` says so, which is asked in every turn.
///
/// # Errors
/// When a socket cannot be had or fails.
pub(crate) fn run(
    mut plan: Plan,
    seed: u64,
    mut goes_on: impl FnMut(Duration, &mut Fleet) -> bool,
) -> std::io::Result<Tally> {
    let sockets = plan
        .sources
        .iter()
        .map(open)
        .collect::<Result<Vec<_>, _>>()?;
    let addresses = sockets.iter().map(UdpSocket::local_addr);
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    plan.sources.clone_from(&addresses);
    let mut fleet = Fleet::new(plan, seed);
    let started = Instant::now();
    loop {
        let now = started.elapsed();
        if !goes_on(now, &mut fleet) {
            return Ok(fleet.tally().clone());
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

/// Tells once a second how many are open, if they are not as many as before.
#[derive(Default)]
pub(crate) struct Teller {
    told: Option<(Duration, usize)>,
}

impl Teller {
    pub(crate) fn tell(&mut self, now: Duration, open: usize) {
        let is_due = self
            .told
            .is_none_or(|(at, before)| now >= at + Duration::from_secs(1) && open != before);
        if is_due {
            self.told = Some((now, open));
            eprintln!("{:3} s: {open} open", now.as_secs());
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
