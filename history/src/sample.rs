//! What was measured of one graph in a while: a second, or many seconds together.

/// What one graph shows of a while. Samples of whiles that follow each other add up to the sample of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Seconds in which somebody measured; the others of the while are unknown.
    pub measured_s: u32,
    /// Of those, the seconds in which the link, or the whole set, was down.
    pub offline_s: u32,
    /// LCP echoes sent, and those that were not answered.
    pub echoes_sent: u64,
    pub echoes_lost: u64,
    /// Round trips of LCP echoes.
    pub latency: Option<Spread>,
    pub sent_packets: u64,
    pub sent_octets: u64,
    pub received_packets: u64,
    pub received_octets: u64,
    /// Packets, or a link's copies, whose fate became known: they arrived or are lost.
    pub settled_packets: u64,
    /// Of those, the lost ones. Less than nothing when more arrived after all than were lost in this while.
    pub lost_packets: i64,
    /// Copies of a link that were the first of their number.
    pub wins: u64,
    /// Packets of a set that its best single link would not have delivered.
    pub saved_packets: u64,
    /// How far the copies of a link were behind the first ones, in 99 of 100 cases.
    pub skew: Option<Spread>,
}

/// Of several times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    pub count: u64,
    pub total_us: u64,
    pub least_us: u64,
    pub most_us: u64,
}

impl Spread {
    /// Of one time.
    #[must_use]
    pub const fn of(time_us: u64) -> Self {
        Self {
            count: 1,
            total_us: time_us,
            least_us: time_us,
            most_us: time_us,
        }
    }

    #[must_use]
    pub const fn mean_us(&self) -> u64 {
        match self.total_us.checked_div(self.count) {
            Some(mean_us) => mean_us,
            None => 0,
        }
    }

    /// Of the times of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            total_us: self.total_us.saturating_add(other.total_us),
            least_us: self.least_us.min(other.least_us),
            most_us: self.most_us.max(other.most_us),
        }
    }
}

impl Sample {
    /// Adds the sample of another while of the same graph.
    pub fn add(&mut self, other: &Self) {
        self.measured_s = self.measured_s.saturating_add(other.measured_s);
        self.offline_s = self.offline_s.saturating_add(other.offline_s);
        self.latency = both(self.latency, other.latency);
        self.skew = both(self.skew, other.skew);
        self.lost_packets = self.lost_packets.saturating_add(other.lost_packets);
        for (mine, theirs) in [
            (&mut self.echoes_sent, other.echoes_sent),
            (&mut self.echoes_lost, other.echoes_lost),
            (&mut self.sent_packets, other.sent_packets),
            (&mut self.sent_octets, other.sent_octets),
            (&mut self.received_packets, other.received_packets),
            (&mut self.received_octets, other.received_octets),
            (&mut self.settled_packets, other.settled_packets),
            (&mut self.wins, other.wins),
            (&mut self.saved_packets, other.saved_packets),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

fn both(one: Option<Spread>, other: Option<Spread>) -> Option<Spread> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.with(other)),
        (one, other) => one.or(other),
    }
}
