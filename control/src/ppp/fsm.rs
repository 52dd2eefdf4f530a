//! The option negotiation automaton of RFC 1661 section 4, as a pure function.
//!
//! Names are the RFC's own (4.2 states, 4.3 events, 4.4 actions).

/// RFC 1661 4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// The lower layer is down, no Open has occurred.
    Initial,
    /// An Open waits for the lower layer.
    Starting,
    /// The link is available, no Open has occurred.
    Closed,
    /// Open, but finished: waits for the peer to begin.
    Stopped,
    /// A Terminate-Request was sent because of Close.
    Closing,
    /// A Terminate-Request was sent or answered without a Close.
    Stopping,
    /// A Configure-Request was sent.
    ReqSent,
    /// The peer acknowledged ours, we have not acknowledged the peer's.
    AckRcvd,
    /// We acknowledged the peer's, ours is not acknowledged.
    AckSent,
    /// Both are acknowledged.
    Opened,
}

impl State {
    /// Whether the Restart timer runs in this state (RFC 1661 4.2).
    pub(super) fn has_timer(self) -> bool {
        matches!(
            self,
            Self::Closing | Self::Stopping | Self::ReqSent | Self::AckRcvd | Self::AckSent
        )
    }
}

/// RFC 1661 4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// The lower layer is ready.
    Up,
    /// The lower layer is gone.
    Down,
    /// Administrative Open.
    Open,
    /// Administrative Close.
    Close,
    /// TO+: the Restart timer ran out, retransmissions are left.
    TimeoutPlus,
    /// TO-: the Restart timer ran out, none is left.
    TimeoutMinus,
    /// RCR+: a Configure-Request we can acknowledge.
    RcrPlus,
    /// RCR-: a Configure-Request to be Naked or Rejected.
    RcrMinus,
    /// A Configure-Ack.
    Rca,
    /// A Configure-Nak or Configure-Reject.
    Rcn,
    /// A Terminate-Request.
    Rtr,
    /// A Terminate-Ack.
    Rta,
    /// An unknown code.
    Ruc,
    /// RXJ+: a Code-Reject or Protocol-Reject we can live with.
    RxjPlus,
    /// RXJ-: one we cannot live with.
    RxjMinus,
    /// Echo-Request, Echo-Reply or Discard-Request.
    Rxr,
}

/// RFC 1661 4.4, named as in the table of 4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// This-Layer-Up.
    Tlu,
    /// This-Layer-Down.
    Tld,
    /// This-Layer-Started.
    Tls,
    /// This-Layer-Finished.
    Tlf,
    /// Initialize-Restart-Count.
    Irc,
    /// Zero-Restart-Count.
    Zrc,
    /// Send-Configure-Request.
    Scr,
    /// Send-Configure-Ack.
    Sca,
    /// Send-Configure-Nak or -Reject.
    Scn,
    /// Send-Terminate-Request.
    Str,
    /// Send-Terminate-Ack.
    Sta,
    /// Send-Code-Reject.
    Scj,
    /// Send-Echo-Reply.
    Ser,
}

/// What an event does: actions, then the next state.
pub(super) type Transition = (&'static [Action], State);

/// The table of RFC 1661 4.1. `None` is its "-": the event cannot occur in this
/// state, and is ignored. The options "passive" (p) and "restart" (r) are not
/// taken; "crossed" (x) is handled as the table has it.
#[rustfmt::skip]
pub(super) fn transition(state: State, event: Event) -> Option<Transition> {
    use Action::*;
    use Event::*;
    use State::*;

    let transition: Transition = match (state, event) {
        // Lower layer and administrator.
        (Initial, Up)            => (&[], Closed),
        (Starting, Up)           => (&[Irc, Scr], ReqSent),
        (_, Up)                  => return None,

        (Initial | Starting, Down) => return None,
        (Closed | Closing, Down)   => (&[], Initial),
        (Stopped, Down)            => (&[Tls], Starting),
        (Stopping | ReqSent | AckRcvd | AckSent, Down) => (&[], Starting),
        (Opened, Down)             => (&[Tld], Starting),

        (Initial, Open)            => (&[Tls], Starting),
        (Closed, Open)             => (&[Irc, Scr], ReqSent),
        (Closing | Stopping, Open) => (&[], Stopping),
        (Starting | Stopped | ReqSent | AckRcvd | AckSent | Opened, Open) => (&[], state),

        (Initial, Close)            => (&[], Initial),
        (Starting, Close)           => (&[Tlf], Initial),
        (Closed | Stopped, Close)   => (&[], Closed),
        (Closing | Stopping, Close) => (&[], Closing),
        (ReqSent | AckRcvd | AckSent, Close) => (&[Irc, Str], Closing),
        (Opened, Close)             => (&[Tld, Irc, Str], Closing),

        // Nothing is sent or received before the lower layer is up.
        (Initial | Starting, _) => return None,

        // The Restart timer.
        (Closing | Stopping, TimeoutPlus) => (&[Str], state),
        (ReqSent | AckRcvd, TimeoutPlus)  => (&[Scr], ReqSent),
        (AckSent, TimeoutPlus)            => (&[Scr], AckSent),
        (Closing, TimeoutMinus)           => (&[Tlf], Closed),
        (Stopping | ReqSent | AckRcvd | AckSent, TimeoutMinus) => (&[Tlf], Stopped),
        (Closed | Stopped | Opened, TimeoutPlus | TimeoutMinus) => return None,

        // Configure-Request.
        (Closed, RcrPlus | RcrMinus) => (&[Sta], Closed),
        (Closing | Stopping, RcrPlus | RcrMinus) => (&[], state),
        (Stopped, RcrPlus)           => (&[Irc, Scr, Sca], AckSent),
        (ReqSent | AckSent, RcrPlus) => (&[Sca], AckSent),
        (AckRcvd, RcrPlus)           => (&[Sca, Tlu], Opened),
        (Opened, RcrPlus)            => (&[Tld, Scr, Sca], AckSent),
        (Stopped, RcrMinus)          => (&[Irc, Scr, Scn], ReqSent),
        (ReqSent | AckSent, RcrMinus) => (&[Scn], ReqSent),
        (AckRcvd, RcrMinus)          => (&[Scn], AckRcvd),
        (Opened, RcrMinus)           => (&[Tld, Scr, Scn], ReqSent),

        // Configure-Ack, Configure-Nak, Configure-Reject.
        (Closed | Stopped, Rca | Rcn)   => (&[Sta], state),
        (Closing | Stopping, Rca | Rcn) => (&[], state),
        (ReqSent, Rca)       => (&[Irc], AckRcvd),
        (AckSent, Rca)       => (&[Irc, Tlu], Opened),
        (ReqSent, Rcn)       => (&[Irc, Scr], ReqSent),
        (AckSent, Rcn)       => (&[Irc, Scr], AckSent),
        (AckRcvd, Rca | Rcn) => (&[Scr], ReqSent),
        (Opened, Rca | Rcn)  => (&[Tld, Scr], ReqSent),

        // Termination.
        (Closed | Stopped | Closing | Stopping, Rtr) => (&[Sta], state),
        (ReqSent | AckRcvd | AckSent, Rtr) => (&[Sta], ReqSent),
        (Opened, Rtr)            => (&[Tld, Zrc, Sta], Stopping),
        (Closed | Stopped, Rta)  => (&[], state),
        (Closing, Rta)           => (&[Tlf], Closed),
        (Stopping, Rta)          => (&[Tlf], Stopped),
        (ReqSent | AckRcvd, Rta) => (&[], ReqSent),
        (AckSent, Rta)           => (&[], AckSent),
        (Opened, Rta)            => (&[Tld, Scr], ReqSent),

        // Unknown codes, rejects, echoes.
        (_, Ruc)                    => (&[Scj], state),
        (AckRcvd, RxjPlus)          => (&[], ReqSent),
        (_, RxjPlus)                => (&[], state),
        (Closed | Closing, RxjMinus) => (&[Tlf], Closed),
        (Stopped | Stopping | ReqSent | AckRcvd | AckSent, RxjMinus) => (&[Tlf], Stopped),
        (Opened, RxjMinus)          => (&[Tld, Irc, Str], Stopping),
        (Opened, Rxr)               => (&[Ser], Opened),
        (_, Rxr)                    => (&[], state),
    };
    Some(transition)
}

#[cfg(test)]
mod tests;
