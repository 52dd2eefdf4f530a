//! A UDP duplicator: what a tunnel program sends is sent on every link, and what comes by any link is handed to it. The
//! second copies are for the tunnel program to drop.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::str::FromStr;

use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

/// Sends each datagram of a tunnel program on all links.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the tunnel program has its socket
    #[arg(long)]
    tunnel: SocketAddr,
    /// What the tunnel program takes for its far end
    #[arg(long)]
    at: SocketAddr,
    /// The own address on a link and that of the far end: 10.1.0.1:51822=10.1.0.2:51822
    #[arg(long = "link", required = true)]
    links: Vec<Ends>,
}

/// The two ends of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    own: SocketAddr,
    far: SocketAddr,
}

impl FromStr for Ends {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (own, far) = text.split_once('=').ok_or("expected OWN=FAR")?;
        let address = |text: &str| text.parse().map_err(|problem| format!("{text}: {problem}"));
        Ok(Self {
            own: address(own)?,
            far: address(far)?,
        })
    }
}

/// Datagrams taken from one socket before the others have their turn.
const BATCH: usize = 64;
/// What the processor is kept from for a moment must find room.
const BUFFER_OCTETS: usize = 16 << 20;

/// Runs until it is killed.
pub(crate) fn run(arguments: &Arguments) -> io::Result<()> {
    let tunnel = bound(arguments.at, arguments.tunnel)?;
    let links = arguments.links.iter();
    let links: Vec<UdpSocket> = links
        .map(|ends| bound(ends.own, ends.far))
        .collect::<io::Result<_>>()?;
    let mut buffer = vec![0; 65_536];
    loop {
        wait(&tunnel, &links)?;
        carry(&tunnel, &mut buffer, |datagram| {
            for link in &links {
                send(link, datagram);
            }
        })?;
        for link in &links {
            carry(link, &mut buffer, |datagram| send(&tunnel, datagram))?;
        }
    }
}

/// A socket that takes datagrams from `far` alone.
fn bound(own: SocketAddr, far: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(own)?;
    socket.connect(far)?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_OCTETS)?;
    setsockopt(&socket, sockopt::SndBufForce, &BUFFER_OCTETS)?;
    Ok(socket)
}

fn wait(tunnel: &UdpSocket, links: &[UdpSocket]) -> io::Result<()> {
    let sockets = std::iter::once(tunnel).chain(links);
    let mut fds: Vec<PollFd<'_>> = sockets
        .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
        .collect();
    poll(&mut fds, PollTimeout::NONE)?;
    Ok(())
}

fn carry(from: &UdpSocket, buffer: &mut [u8], mut to: impl FnMut(&[u8])) -> io::Result<()> {
    for _ in 0..BATCH {
        match from.recv(buffer) {
            Ok(octets) => to(&buffer[..octets]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // An ICMP error of a far end that is not up yet.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A link that takes nothing now loses it, as any network would.
fn send(to: &UdpSocket, datagram: &[u8]) {
    let _ = to.send(datagram);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn socket() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket
    }

    /// An address that was free a moment ago.
    fn free() -> SocketAddr {
        socket().local_addr().unwrap()
    }

    #[test]
    fn every_link_gets_a_copy_and_every_link_is_heard() {
        let (tunnel, far) = (socket(), [socket(), socket()]);
        let at = free();
        let links = far.each_ref().map(|far| Ends {
            own: free(),
            far: far.local_addr().unwrap(),
        });
        let arguments = Arguments {
            tunnel: tunnel.local_addr().unwrap(),
            at,
            links: links.to_vec(),
        };
        std::thread::spawn(move || run(&arguments));
        let mut buffer = [0; 100];
        let heard = |socket: &UdpSocket, buffer: &mut [u8]| {
            let (octets, from) = socket.recv_from(buffer).unwrap();
            (buffer[..octets].to_vec(), from)
        };
        // Until it is there; each attempt is another datagram, so that none is mistaken for a copy.
        let (mut number, begin) = (0_u8, Instant::now());
        let first = loop {
            assert!(begin.elapsed() < Duration::from_secs(60));
            tunnel.send_to(&[number], at).unwrap();
            far[0].set_nonblocking(true).unwrap();
            std::thread::sleep(Duration::from_millis(10));
            match far[0].recv_from(&mut buffer) {
                Ok((1, from)) => break (vec![buffer[0]], from),
                _ => number = number.wrapping_add(1),
            }
        };
        assert_eq!(first.1, links[0].own);
        assert_eq!(heard(&far[1], &mut buffer), (first.0, links[1].own));
        for (far, link) in far.iter().zip(&links) {
            far.send_to(b"answer", link.own).unwrap();
            assert_eq!(heard(&tunnel, &mut buffer), (b"answer".to_vec(), at));
        }
    }

    #[test]
    fn the_ends_of_a_link_are_two_addresses() {
        let ends: Ends = "10.1.0.1:5=10.1.0.2:6".parse().unwrap();
        assert_eq!(ends.far, "10.1.0.2:6".parse().unwrap());
        assert!("10.1.0.1:5".parse::<Ends>().is_err());
        assert!("10.1.0.1:5=10.1.0.2".parse::<Ends>().is_err());
    }
}
