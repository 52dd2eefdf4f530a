//! What one client may take up, and all of them together.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How much is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    /// Of those, from one address.
    pub(super) connections_an_address: usize,
    /// Connections that are told what happens.
    pub(super) streams: usize,
    /// Requests of an address: so many a second, and so many at once.
    pub(super) requests_s: f64,
    pub(super) burst: f64,
    /// A connection that says nothing for so long, or does not finish the head of a request, is left.
    pub(super) head_patience: Duration,
    pub(super) body_patience: Duration,
    /// A connection that takes nothing for so long is left.
    pub(super) write_patience: Duration,
    pub(super) body_octets: usize,
    /// Graphs that are drawn at a time; more wait.
    pub(super) drawn: usize,
    /// A graph that is not there by then is given up, whoever draws it.
    pub(super) draw_patience: Duration,
    /// The control thread is taken for dead when there is no reading for so long. The monitor reads once a second.
    pub(super) stale_after: Duration,
}

impl Limits {
    pub(super) const DEFAULT: Self = Self {
        connections: 128,
        connections_an_address: 48,
        streams: 32,
        requests_s: 50.0,
        burst: 200.0,
        head_patience: Duration::from_secs(10),
        body_patience: Duration::from_secs(5),
        write_patience: Duration::from_secs(10),
        body_octets: 4096,
        drawn: 3,
        draw_patience: Duration::from_secs(10),
        stale_after: Duration::from_secs(5),
    };
}

/// A client to the limits: an IPv4 address, or the network of 64 bits that an IPv6 host can have all addresses of.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

/// Counts the open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_clients: HashMap<IpAddr, usize>,
}

/// A place among the connections, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    client: IpAddr,
}

impl Connections {
    /// A place for one more connection, when there is one.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Option<Place> {
        let client = client(address);
        let mut open = held(&self.open);
        let of_client = open.of_clients.get(&client).copied().unwrap_or(0);
        if open.all >= limits.connections || of_client >= limits.connections_an_address {
            return None;
        }
        open.all += 1;
        open.of_clients.insert(client, of_client + 1);
        Some(Place {
            connections: Arc::clone(self),
            client,
        })
    }

    /// Waits until no connection is open.
    pub(super) async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            if held(&self.open).all == 0 {
                return;
            }
            closed.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = held(&self.connections.open);
        open.all -= 1;
        if let Some(count) = open.of_clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.of_clients.remove(&self.client);
            }
        }
        drop(open);
        self.connections.closed.notify_one();
    }
}

/// Clients that are told apart; more share one allowance.
const MOST_CLIENTS: usize = 4096;
/// Stands for those.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Tokens for requests, an allowance of them for each client.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<HashMap<IpAddr, Allowance>>);

#[derive(Debug)]
struct Allowance {
    tokens: f64,
    at: Instant,
}

impl Requests {
    /// Takes one request of a client.
    ///
    /// # Errors
    /// With the time after which the next one is taken.
    pub(super) fn take(
        &self,
        now: Instant,
        address: IpAddr,
        limits: &Limits,
    ) -> Result<(), Duration> {
        let mut clients = held(&self.0);
        let mut client = client(address);
        if clients.len() >= MOST_CLIENTS && !clients.contains_key(&client) {
            // Who has a full allowance again is as good as forgotten.
            let full_after = Duration::from_secs_f64(limits.burst / limits.requests_s);
            clients.retain(|_, it| now.saturating_duration_since(it.at) < full_after);
            if clients.len() >= MOST_CLIENTS {
                client = OTHERS;
            }
        }
        let allowance = clients.entry(client).or_insert(Allowance {
            tokens: limits.burst,
            at: now,
        });
        let passed = now.saturating_duration_since(allowance.at).as_secs_f64();
        allowance.tokens = (allowance.tokens + passed * limits.requests_s).min(limits.burst);
        allowance.at = now;
        if allowance.tokens >= 1.0 {
            allowance.tokens -= 1.0;
            return Ok(());
        }
        let missing = 1.0 - allowance.tokens;
        Err(Duration::from_secs_f64(missing / limits.requests_s))
    }
}

/// Nothing is half done when a holder panics.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Limits = Limits {
        connections: 3,
        connections_an_address: 2,
        requests_s: 2.0,
        burst: 3.0,
        ..Limits::DEFAULT
    };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_are_limited_for_each_client_and_for_all() {
        let connections = Arc::new(Connections::default());
        let enter = |text| connections.enter(address(text), &FEW);
        let first = enter("2001:db8::1").unwrap();
        let _second = enter("2001:db8::2").unwrap();
        assert!(enter("2001:db8::3").is_none(), "one network, one client");
        drop(first);
        let _third = enter("2001:db8::3").unwrap();
        let _other = enter("192.0.2.1").unwrap();
        assert!(enter("192.0.2.2").is_none(), "all together");
    }

    #[test]
    fn requests_are_limited_and_come_back() {
        let (requests, start) = (Requests::default(), Instant::now());
        let mut now = start;
        for _ in 0..3 {
            assert_eq!(requests.take(now, address("192.0.2.1"), &FEW), Ok(()));
        }
        let wait = requests.take(now, address("192.0.2.1"), &FEW).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        // The same client by IPv6's way to write it.
        assert!(
            requests
                .take(now, address("::ffff:192.0.2.1"), &FEW)
                .is_err()
        );
        assert_eq!(requests.take(now, address("192.0.2.2"), &FEW), Ok(()));
        now += wait;
        assert_eq!(requests.take(now, address("192.0.2.1"), &FEW), Ok(()));
        assert!(requests.take(now, address("192.0.2.1"), &FEW).is_err());
        // Who was quiet for long has no more than any other at once.
        now += Duration::from_secs(3600);
        let taken = (0..10).filter(|_| requests.take(now, address("192.0.2.1"), &FEW).is_ok());
        assert_eq!(taken.count(), FEW.burst as usize);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_memory_and_shares_one_allowance() {
        let (requests, now) = (Requests::default(), Instant::now());
        let nth = |number: u32| IpAddr::V4(number.into());
        let taken = (0..100_000).filter(|&it| requests.take(now, nth(it), &FEW).is_ok());
        assert_eq!(taken.count(), MOST_CLIENTS + FEW.burst as usize);
        assert!(held(&requests.0).len() <= MOST_CLIENTS + 1);
        // Once they are quiet there is room again.
        let later = now + Duration::from_secs(2);
        assert!(requests.take(later, nth(200_000), &FEW).is_ok());
        assert_eq!(held(&requests.0).len(), 1);
    }
}
