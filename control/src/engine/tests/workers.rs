//! Make-believe workers: they obey commands at once, answer echoes, and object
//! to commands that would hurt real ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use dataplane::command::{
    Command, InterfaceId, InterfaceSpec, NextHop, Prefix, SessionId, SessionSpec, SetId, SetSpec,
    TableId,
};
use dataplane::headers::ha::{HaHeader, Kind};
use dataplane::headers::lcp;

/// What the workers of one site would know.
#[derive(Default)]
pub(super) struct Workers {
    pub(super) routes: BTreeMap<(TableId, Prefix), NextHop>,
    pub(super) sessions: HashMap<SessionId, Arc<SessionSpec>>,
    by_wire_ids: HashMap<(u16, u16), SessionId>,
    pub(super) sets: HashMap<SetId, Arc<SetSpec>>,
    pub(super) interfaces: BTreeMap<InterfaceId, Arc<InterfaceSpec>>,
    /// Wire ids of sessions that were removed.
    closed: BTreeSet<(u16, u16)>,
}

impl Workers {
    pub(super) fn apply(&mut self, command: Command) {
        match command {
            Command::SetRoute {
                table,
                prefix,
                next_hop,
            } => {
                self.routes.insert((table, prefix), next_hop);
            }
            Command::RemoveRoute { table, prefix } => {
                self.routes.remove(&(table, prefix));
            }
            Command::SetSession(spec) => {
                let ids = (spec.local_tunnel, spec.local_session);
                self.by_wire_ids.insert(ids, spec.id);
                let id = spec.id;
                self.sessions.insert(id, spec);
                self.assert_masked_get_nothing();
            }
            Command::RemoveSession(id) => {
                let spec = self.sessions.remove(&id).expect("it was installed");
                let ids = (spec.local_tunnel, spec.local_session);
                assert_eq!(self.by_wire_ids.remove(&ids), Some(id), "ids used twice");
                self.closed.insert(ids);
            }
            Command::SetInterface(spec) => {
                self.interfaces.insert(spec.id, spec);
            }
            Command::SetSet(spec) => {
                self.sets.insert(spec.id, spec);
                self.assert_masked_get_nothing();
            }
            Command::RemoveSet(id) => {
                let used = self.sessions.values().any(|spec| spec.set == Some(id));
                let routed = self.routes.values().any(|&hop| hop == NextHop::Set(id));
                assert!(!used && !routed, "{id:?} is removed while it is in use");
                self.sets.remove(&id);
            }
            _ => (),
        }
    }

    /// What is not taken is not sent either: it stops sending first and takes again first.
    fn assert_masked_get_nothing(&self) {
        for set in self.sets.values() {
            let members = set.members.iter().filter_map(|id| self.sessions.get(id));
            let masked: Vec<_> = members.filter(|it| it.masked).map(|it| it.id).collect();
            assert!(masked.is_empty(), "{masked:?} get copies of {:?}", set.id);
        }
    }

    /// The session that a message's ids name.
    pub(super) fn session_of(&self, ids: (u16, u16)) -> Option<Arc<SessionSpec>> {
        let id = self.by_wire_ids.get(&ids)?;
        Some(Arc::clone(&self.sessions[id]))
    }

    /// Whether a session had these ids and was removed.
    pub(super) fn had_session(&self, ids: (u16, u16)) -> bool {
        self.closed.contains(&ids)
    }

    pub(super) fn route(&self, address: impl Into<IpAddr>) -> Option<NextHop> {
        let address = address.into();
        self.routes
            .iter()
            .filter(|((table, prefix), _)| *table == TableId(0) && prefix.contains(address))
            .max_by_key(|((_, prefix), _)| prefix.length)
            .map(|(_, next_hop)| *next_hop)
    }
}

/// What a command says, for the trace of a run.
pub(super) fn digest(command: &Command) -> String {
    match command {
        Command::SetSession(spec) => format!(
            "session {:?} {:?} {:?} {:?} {:?} {} {} {}",
            spec.id,
            spec.local,
            spec.peer,
            spec.set,
            spec.local_session,
            spec.receive,
            spec.masked,
            spec.mtu
        ),
        Command::SetSet(spec) => {
            let epochs: Vec<_> = spec.epochs.iter().map(|epoch| epoch.epoch).collect();
            let (id, members) = (spec.id, &spec.members);
            format!("set {id:?} {members:?} {} {epochs:?}", spec.send_epoch)
        }
        other => format!("{other:?}"),
    }
}

/// The reply, as a data message, to a frame that is an Echo-Request for the workers to answer.
pub(super) fn echo_reply(spec: &SessionSpec, frame: &[u8]) -> Option<Vec<u8>> {
    let mut packet = frame.strip_prefix(&PPP_LCP)?.to_vec();
    let octets = lcp::answer_echo(&mut packet, spec.echo.as_ref()?)?;
    spec.counters[0].echoes_answered.add(1);
    let mut message = plain(spec, PPP_LCP, &packet[..octets]);
    // P.
    message[0] |= 0x01;
    Some(message)
}

/// A data message without an HA header, numbered where the session's are.
pub(super) fn plain(spec: &SessionSpec, protocol: [u8; 2], content: &[u8]) -> Vec<u8> {
    let ns = spec.sequence.take();
    let mut payload = vec![if ns.is_some() { 0x08 } else { 0 }, 0x02];
    payload.extend(spec.peer_tunnel.to_be_bytes());
    payload.extend(spec.peer_session.to_be_bytes());
    payload.extend(
        ns.map(|ns| [ns.to_be_bytes(), [0, 0]])
            .iter()
            .flatten()
            .flatten(),
    );
    payload.extend([0xff, 0x03]);
    payload.extend(protocol);
    payload.extend(content);
    payload
}

/// PPP protocol fields.
pub(super) const PPP_LCP: [u8; 2] = [0xc0, 0x21];
pub(super) const PPP_IPV4: [u8; 2] = [0x00, 0x21];
pub(super) const PPP_IPV6: [u8; 2] = [0x00, 0x57];

/// An HA data message (the design's 2.1).
pub(super) fn copy(
    set: &SetSpec,
    member: &SessionSpec,
    sequence: u64,
    protocol: [u8; 2],
    number: u64,
) -> Vec<u8> {
    let mut payload = vec![0x02, 0x02];
    payload.extend(member.peer_tunnel.to_be_bytes());
    payload.extend(member.peer_session.to_be_bytes());
    payload.extend([0, 12]);
    let mut header = [0; 12];
    HaHeader {
        kind: Kind::Data,
        flags: 0,
        epoch: set.send_epoch,
        number: sequence,
    }
    .write(&mut header);
    payload.extend(header);
    payload.extend(protocol);
    payload.extend(number.to_be_bytes());
    payload
}
