//! What RFC 1661 asks of an implementation, one row for each behaviour that
//! conformance suites of PPP look at, in their groups.
use std::collections::BTreeMap;

use super::*;

/// Where a row begins. The peer's request has a magic number only, as has ours.
#[derive(Debug, Clone, Copy)]
enum Start {
    ReqSent,
    AckSent,
    AckRcvd,
    /// LCP is open, and the network protocols are being negotiated.
    Opened,
    /// We wait for the answer to our Terminate-Request.
    Closing,
    Closed,
    /// A server that demands CHAP, or else PAP; its request is out.
    Server,
    /// The same with its first Challenge out.
    Challenged,
}

/// What happens to the session.
enum Do {
    /// An LCP packet: code, identifier, data.
    Lcp(u8, u8, &'static [u8]),
    /// A packet of another protocol.
    Of(u16, u8, u8, &'static [u8]),
    /// An answer to our last request, with its identifier and this data.
    Answer(u8, &'static [u8]),
    /// The same with its own options.
    AnswerWithOurs(u8),
    /// The peer's request has our options.
    Mirror(u8),
    /// An answer to our last Challenge.
    Response(&'static [u8]),
    Frame(&'static [u8]),
    Seconds(u64),
    Close,
}
use Do::{Answer, AnswerWithOurs, Close, Frame, Lcp, Mirror, Of, Response, Seconds};

/// A row: group, what is asked for, where it begins, what happens with what
/// the session says to it, and whether the link is over then.
///
/// A frame is written as its name, `=` if its identifier is that of the packet
/// before it, `~` if it is that of our frame of this name before, and its data;
/// `*` stands for any rest. `req` is of LCP.
type Row = (
    &'static str,
    &'static str,
    Start,
    &'static [(Do, &'static str)],
    End,
);

#[derive(Debug, PartialEq)]
enum End {
    Alive,
    Over,
}
use End::{Alive, Over};

const TERMINATE: u8 = code::TERMINATE_REQUEST;
const TERMINATE_ACK: u8 = code::TERMINATE_ACK;
const CODE_REJECT: u8 = code::CODE_REJECT;
const PROTOCOL_REJECT: u8 = code::PROTOCOL_REJECT;
const ECHO: u8 = code::ECHO_REQUEST;
const ECHO_REPLY: u8 = code::ECHO_REPLY;
const DISCARD: u8 = 11;
const IDENTIFICATION: u8 = 12;
const CCP: u16 = 0x80fd;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("timers", "4.6: a request without an answer is sent again, unchanged", Start::ReqSent,
        &[(Seconds(3), "req~ *"), (Seconds(3), "req~ *")], Alive),
    ("timers", "4.6: Max-Configure requests, then no more", Start::ReqSent,
        &[(Seconds(26), "req~ *; req~ *; req~ *; req~ *; req~ *; req~ *; req~ *; req~ *"),
          (Seconds(1), "req~ *"), (Seconds(3), "")], Over),
    ("timers", "4.1: the timer runs in Ack-Sent", Start::AckSent, &[(Seconds(3), "req~ *")], Alive),
    ("timers", "4.1: the timer runs in Ack-Rcvd, and begins anew in Req-Sent", Start::AckRcvd,
        &[(Seconds(3), "req *"), (Lcp(REQUEST, 4, &MAGIC), "ack= *")], Alive),
    ("timers", "4.1: it does not in Opened", Start::Opened,
        &[(Seconds(2), "")], Alive),
    ("timers", "4.6: Max-Terminate requests, then the link is over", Start::Opened,
        &[(Close, "term *"), (Seconds(3), "term~ *"), (Seconds(3), "")], Over),

    ("conf-req", "5.2: the Ack has the request's identifier and options, octet for octet", Start::ReqSent,
        &[(Lcp(REQUEST, 77, &[8, 2, 1, 4, 5, 0xd4, 2, 6, 0, 0, 0, 0, 7, 2, 5, 6, 1, 2, 3, 4]),
            "ack= 0802010405d40206000000000702050601020304")], Alive),
    ("conf-req", "5.1: a request may have no options", Start::ReqSent,
        &[(Lcp(REQUEST, 1, &[]), "ack= ")], Alive),
    ("conf-req", "5.4: unknown options are rejected, all of them and no others, in order", Start::ReqSent,
        &[(Lcp(REQUEST, 2, &[99, 3, 1, 5, 6, 1, 2, 3, 4, 17, 4, 5, 0xdc]), "rej= 630301110405dc")], Alive),
    ("conf-req", "5.4: a Reject goes before a Nak", Start::ReqSent,
        &[(Lcp(REQUEST, 2, &[1, 4, 0, 1, 99, 2]), "rej= 6302"),
          (Lcp(REQUEST, 3, &[1, 4, 0, 1]), "nak= 010405dc")], Alive),
    ("conf-req", "5.3: a boolean is never naked", Start::ReqSent,
        &[(Lcp(REQUEST, 2, &[7, 3, 1, 8, 3, 1]), "rej= 070301080301")], Alive),
    ("conf-req", "4.1: in Ack-Rcvd it opens the link", Start::AckRcvd,
        &[(Lcp(REQUEST, 4, &MAGIC), "ack= *; ipcp-1 *")], Alive),
    ("conf-req", "4.1: in Ack-Rcvd a bad one does not", Start::AckRcvd,
        &[(Lcp(REQUEST, 4, &[99, 2]), "rej= 6302"), (Lcp(REQUEST, 5, &MAGIC), "ack= *; ipcp-1 *")], Alive),
    ("conf-req", "4.1: in Ack-Sent a bad one takes the Ack back", Start::AckSent,
        &[(Lcp(REQUEST, 4, &[99, 2]), "rej= 6302"), (AnswerWithOurs(ACK), "")], Alive),
    ("conf-req", "4.1: a new one in Opened begins negotiation anew", Start::Opened,
        &[(Lcp(REQUEST, 4, &MAGIC), "req *; ack= *")], Alive),
    ("conf-req", "4.1: a bad one in Opened does, too", Start::Opened,
        &[(Lcp(REQUEST, 4, &[99, 2]), "req *; rej= *")], Alive),
    ("conf-req", "4.1: none is answered in Closing", Start::Closing,
        &[(Lcp(REQUEST, 4, &MAGIC), "")], Alive),
    ("conf-req", "4.1: in Closed a Terminate-Ack is", Start::Closed,
        &[(Lcp(REQUEST, 4, &MAGIC), "term-ack= ")], Over),
    ("conf-req", "a copy of the one that opened the link is acknowledged again", Start::Opened,
        &[(Lcp(REQUEST, 1, &MAGIC), "ack= *")], Alive),

    ("conf-ack", "5.2: one with another identifier is discarded", Start::ReqSent,
        &[(Lcp(ACK, 0, &[]), ""), (Seconds(3), "req~ *")], Alive),
    ("conf-ack", "5.2: one with other options is discarded", Start::ReqSent,
        &[(Answer(ACK, &[]), ""), (Answer(ACK, &[5, 6, 0, 0, 0, 1]), ""), (Seconds(3), "req~ *")], Alive),
    ("conf-ack", "4.1: in Req-Sent it leads to Ack-Rcvd", Start::ReqSent,
        &[(AnswerWithOurs(ACK), ""), (Lcp(REQUEST, 4, &MAGIC), "ack= *; ipcp-1 *")], Alive),
    ("conf-ack", "4.1: in Ack-Sent it opens the link", Start::AckSent,
        &[(AnswerWithOurs(ACK), "ipcp-1 *")], Alive),
    ("conf-ack", "a copy of one disturbs nothing", Start::Opened, &[(AnswerWithOurs(ACK), "")], Alive),
    ("conf-ack", "4.1: in Closed a Terminate-Ack is the answer", Start::Closed,
        &[(AnswerWithOurs(ACK), "term-ack= ")], Over),

    ("conf-nak", "5.3: the next request has the values and another identifier", Start::ReqSent,
        &[(Answer(NAK, &[5, 6, 9, 9, 9, 9]), "req *"), (Seconds(3), "req~ *")], Alive),
    ("conf-nak", "5.3: options that were not asked for may be named", Start::ReqSent,
        &[(Answer(NAK, &[1, 4, 5, 0xd4, 99, 2]), "req 0506*")], Alive),
    ("conf-nak", "5.3: one with another identifier is discarded", Start::ReqSent,
        &[(Lcp(NAK, 0, &[5, 6, 9, 9, 9, 9]), ""), (Seconds(3), "req~ *")], Alive),
    ("conf-nak", "4.1: in Ack-Sent our Ack stands", Start::AckSent,
        &[(Answer(NAK, &[5, 6, 9, 9, 9, 9]), "req *"), (AnswerWithOurs(ACK), "ipcp-1 *")], Alive),
    ("conf-nak", "4.1: in Closing it is nothing", Start::Closing, &[(Lcp(NAK, 0, &MAGIC), "")], Alive),

    ("conf-rej", "5.4: the next request is without the option", Start::ReqSent,
        &[(AnswerWithOurs(REJECT), "req "), (Answer(ACK, &[]), "")], Alive),
    ("conf-rej", "5.4: one of what we did not ask for is discarded", Start::ReqSent,
        &[(Answer(REJECT, &[1, 4, 5, 0xdc]), ""), (Answer(REJECT, &[5, 6, 1, 1, 1, 1]), ""),
          (Answer(REJECT, &[]), ""), (Seconds(3), "req~ *")], Alive),
    ("conf-rej", "5.4: one with another identifier is discarded", Start::ReqSent,
        &[(Lcp(REJECT, 0, &[]), ""), (Seconds(3), "req~ *")], Alive),

    ("terminate", "5.5: a request is acknowledged, in Req-Sent", Start::ReqSent,
        &[(Lcp(TERMINATE, 9, b"bye"), "term-ack= ")], Over),
    ("terminate", "5.5: in Ack-Rcvd", Start::AckRcvd, &[(Lcp(TERMINATE, 9, &[]), "term-ack= ")], Over),
    ("terminate", "5.5: in Ack-Sent", Start::AckSent, &[(Lcp(TERMINATE, 9, &[]), "term-ack= ")], Over),
    ("terminate", "5.5: in Opened", Start::Opened, &[(Lcp(TERMINATE, 9, &[]), "term-ack= ")], Over),
    ("terminate", "5.5: in Closing, which waits on", Start::Closing,
        &[(Lcp(TERMINATE, 9, &[]), "term-ack= "), (Seconds(3), "term~ *")], Alive),
    ("terminate", "5.5: in Closed", Start::Closed, &[(Lcp(TERMINATE, 9, &[]), "term-ack= ")], Over),
    ("terminate", "4.1: an Ack in Closing ends the link", Start::Closing,
        &[(Lcp(TERMINATE_ACK, 0, &[]), "")], Over),
    ("terminate", "4.1: one in Opened begins negotiation anew", Start::Opened,
        &[(Lcp(TERMINATE_ACK, 0, &[]), "req *")], Alive),
    ("terminate", "4.1: one in Ack-Rcvd takes the Ack back", Start::AckRcvd,
        &[(Lcp(TERMINATE_ACK, 0, &[]), ""), (Lcp(REQUEST, 4, &MAGIC), "ack= *"), (Seconds(3), "req *")], Alive),
    ("terminate", "4.1: one in Req-Sent is nothing", Start::ReqSent,
        &[(Lcp(TERMINATE_ACK, 0, &[]), ""), (Seconds(3), "req~ *")], Alive),

    ("code-rej", "5.6: an unknown code is rejected with its packet, in Req-Sent", Start::ReqSent,
        &[(Lcp(99, 7, &[1, 2]), "code-rej 630700060102")], Alive),
    ("code-rej", "5.6: in Opened", Start::Opened, &[(Lcp(0, 7, &[]), "code-rej 00070004")], Alive),
    ("code-rej", "5.6: in Closing", Start::Closing, &[(Lcp(14, 7, &[]), "code-rej 0e070004")], Alive),
    ("code-rej", "4.3: of what we can do without it harms nothing", Start::Opened,
        &[(Lcp(CODE_REJECT, 1, &[IDENTIFICATION, 1, 0, 4]), ""), (Lcp(CODE_REJECT, 1, &[ECHO, 1, 0, 4]), "")], Alive),
    ("code-rej", "4.3: of what we need it ends the link, in Req-Sent", Start::ReqSent,
        &[(Lcp(CODE_REJECT, 1, &[REQUEST, 1, 0, 4]), "")], Over),
    ("code-rej", "4.3: in Opened", Start::Opened,
        &[(Lcp(CODE_REJECT, 1, &[REQUEST, 1, 0, 4]), "term *"), (Lcp(TERMINATE_ACK, 0, &[]), "")], Over),
    ("code-rej", "4.1: in Ack-Rcvd a harmless one takes the Ack back", Start::AckRcvd,
        &[(Lcp(CODE_REJECT, 1, &[IDENTIFICATION, 1, 0, 4]), ""), (Seconds(3), "req *")], Alive),

    ("proto-rej", "5.7: an unknown protocol is rejected with its packet in Opened", Start::Opened,
        &[(Of(CCP, REQUEST, 3, &[18, 6, 1, 0, 0, 0x40]), "proto-rej 80fd0103000a120601000040"),
          (Of(CCP, TERMINATE, 4, &[]), "proto-rej 80fd05040004")], Alive),
    ("proto-rej", "5.7: and not before", Start::ReqSent, &[(Of(CCP, REQUEST, 3, &[]), "")], Alive),
    ("proto-rej", "3.5: nor while the peer authenticates itself", Start::Challenged,
        &[(Of(CCP, REQUEST, 3, &[]), "")], Alive),
    ("proto-rej", "5.7: LCP cannot be done without", Start::Opened,
        &[(Lcp(PROTOCOL_REJECT, 1, &[0xc0, 0x21, 1]), "term *"), (Lcp(TERMINATE_ACK, 0, &[]), "")], Over),
    ("proto-rej", "3.7: without any network protocol the link is closed", Start::Opened,
        &[(Lcp(PROTOCOL_REJECT, 1, &[0x80, 0x21, 1]), "term *"), (Lcp(TERMINATE_ACK, 0, &[]), "")], Over),
    ("proto-rej", "5.7: of a protocol that we do not send it is nothing", Start::Opened,
        &[(Lcp(PROTOCOL_REJECT, 1, &[0x80, 0xfd]), ""), (Lcp(PROTOCOL_REJECT, 1, &[0x80]), "")], Alive),
    ("proto-rej", "5.7: before Opened it is discarded", Start::AckSent,
        &[(Lcp(PROTOCOL_REJECT, 1, &[0xc0, 0x21, 1]), ""), (AnswerWithOurs(ACK), "ipcp-1 *")], Alive),

    ("echo", "5.8: a request is answered in Opened, with our magic number", Start::Opened,
        &[(Lcp(ECHO, 5, &[1, 2, 3, 4, 0xaa, 0xbb]), "echo-reply= MAGICaabb")], Alive),
    ("echo", "5.8: and in no other state", Start::AckSent, &[(Lcp(ECHO, 5, &[1, 2, 3, 4]), "")], Alive),
    ("echo", "5.8: nor in Closing", Start::Closing, &[(Lcp(ECHO, 5, &[1, 2, 3, 4]), "")], Alive),
    ("echo", "5.8: one without a magic number is malformed", Start::Opened,
        &[(Lcp(ECHO, 5, &[1, 2, 3]), "")], Alive),
    ("echo", "5.8: a reply that nobody asked for is discarded", Start::Opened,
        &[(Lcp(ECHO_REPLY, 5, &[1, 2, 3, 4]), "")], Alive),
    ("echo", "5.9: a Discard-Request is discarded", Start::Opened,
        &[(Lcp(DISCARD, 5, &[1, 2, 3, 4, 5]), "")], Alive),
    ("echo", "RFC 1570 2.1: an Identification is harmless in any state", Start::ReqSent,
        &[(Lcp(IDENTIFICATION, 5, b"\x01\x02\x03\x04Windows"), ""), (Lcp(REQUEST, 2, &MAGIC), "ack= *"),
          (Lcp(IDENTIFICATION, 6, b"\x01\x02\x03\x04Windows"), ""), (AnswerWithOurs(ACK), "ipcp-1 *"),
          (Lcp(IDENTIFICATION, 7, b"\x01\x02\x03\x04Windows"), "")], Alive),

    ("mru", "6.1: smaller and larger ones are granted", Start::ReqSent,
        &[(Lcp(REQUEST, 1, &[1, 4, 0, 0x80]), "ack= 01040080"), (Lcp(REQUEST, 2, &[1, 4, 0x23, 0x28]), "ack= 01042328")], Alive),
    ("mru", "6.1: a senseless one, or one of another length, is naked with 1500", Start::ReqSent,
        &[(Lcp(REQUEST, 1, &[1, 4, 0, 0]), "nak= 010405dc"), (Lcp(REQUEST, 2, &[1, 3, 5]), "nak= 010405dc"),
          (Lcp(REQUEST, 3, &[1, 2]), "nak= 010405dc")], Alive),
    ("mru", "4.6: Max-Failure Naks, then a Reject", Start::ReqSent,
        &[(Lcp(REQUEST, 1, &[1, 4, 0, 1]), "nak= *"), (Lcp(REQUEST, 2, &[1, 4, 0, 1]), "nak= *"),
          (Lcp(REQUEST, 3, &[1, 4, 0, 1]), "nak= *"), (Lcp(REQUEST, 4, &[1, 4, 0, 1]), "nak= *"),
          (Lcp(REQUEST, 5, &[1, 4, 0, 1]), "nak= *"), (Lcp(REQUEST, 6, &[1, 4, 0, 1]), "rej= 01040001"),
          (Lcp(REQUEST, 7, &[]), "ack= ")], Alive),

    ("auth", "6.2: a way that we know is granted, another naked with the best", Start::ReqSent,
        &[(Lcp(REQUEST, 1, &[3, 4, 0xc0, 0x23]), "ack= 0304c023"), (Lcp(REQUEST, 2, &[3, 5, 0xc2, 0x23, 5]), "ack= 0305c22305"),
          (Lcp(REQUEST, 3, &[3, 5, 0xc2, 0x23, 0x81]), "ack= 0305c22381"),
          (Lcp(REQUEST, 4, &[3, 4, 0xc2, 0x27]), "nak= 0305c22305")], Alive),
    ("auth", "6.2: who has nothing to show rejects it", Start::Server,
        &[(Lcp(REQUEST, 1, &[3, 4, 0xc0, 0x23]), "rej= 0304c023")], Alive),
    ("auth", "6.2: a Nak is followed by the way that it names", Start::Server,
        &[(Answer(NAK, &[3, 4, 0xc0, 0x23]), "req 0304c0230506*")], Alive),
    ("auth", "6.2: none at all is not agreed to", Start::Server,
        &[(Answer(REJECT, &[3, 5, 0xc2, 0x23, 5]), "req 0304c0230506*"),
          (Answer(REJECT, &[3, 4, 0xc0, 0x23]), "req *; term *"), (Lcp(TERMINATE_ACK, 0, &[]), "")], Over),
    ("auth", "3.5: network protocols wait until it is done", Start::Challenged,
        &[(Of(protocol::IPCP, REQUEST, 1, &[3, 6, 10, 0, 0, 2]), ""), (Of(0x0021, 0x45, 0, &[]), "")], Alive),
    ("auth", "RFC 1994 4.1: a Challenge is repeated with another value", Start::Challenged,
        &[(Seconds(3), "chap-1 10*")], Alive),
    ("auth", "3.5: another way than the agreed one is nothing", Start::Challenged,
        &[(Of(protocol::PAP, 1, 1, b"\x02me\x06secret"), ""), (Of(protocol::CHAP, 1, 1, b"\x04abcd"), "")], Alive),
    ("auth", "3.5: who cannot prove himself is told, and the link closed", Start::Challenged,
        &[(Response(b"\x10abcdefghijklmnopme"), "chap-4= *; term *"), (Lcp(TERMINATE_ACK, 0, &[]), "")], Over),

    ("magic", "6.4: zero is naked with another", Start::ReqSent,
        &[(Lcp(REQUEST, 1, &[5, 6, 0, 0, 0, 0]), "nak= 0506*")], Alive),
    ("magic", "6.4: ours is naked, and the link given up when it comes again and again", Start::ReqSent,
        &[(Mirror(1), "nak= 0506*"), (Mirror(2), "nak= 0506*"), (Mirror(3), "nak= 0506*; term *"),
          (Lcp(TERMINATE_ACK, 0, &[]), "")], Over),
    ("magic", "6.4: a Nak of it is followed by another", Start::ReqSent,
        &[(Answer(NAK, &[5, 6, 1, 2, 3, 4]), "req 0506*")], Alive),
    ("magic", "6.4: without one, echoes have zero", Start::ReqSent,
        &[(AnswerWithOurs(REJECT), "req "), (Answer(ACK, &[]), ""), (Lcp(REQUEST, 1, &[]), "ack= ; ipcp-1 *"),
          (Lcp(ECHO, 5, &[0, 0, 0, 0, 7]), "echo-reply= 0000000007")], Alive),

    ("malformed", "5: a packet that is shorter than its header, or than its Length", Start::ReqSent,
        &[(Frame(&[]), ""), (Frame(&[0xc0]), ""), (Frame(&[0xc0, 0x21]), ""), (Frame(&[0xc0, 0x21, 1, 1, 0]), ""),
          (Frame(&[0xc0, 0x21, 1, 1, 0, 3]), ""), (Frame(&[0xc0, 0x21, 1, 1, 0, 5]), ""),
          (Frame(&[0xc0, 0x21, 1, 1, 0xff, 0xff, 5, 6]), ""), (Seconds(3), "req~ *")], Alive),
    ("malformed", "5: what is behind the Length is padding", Start::ReqSent,
        &[(Frame(&[0xc0, 0x21, 1, 6, 0, 4, 99, 2, 0, 0]), "ack ")], Alive),
    ("malformed", "6: an option whose Length cannot be discards the packet", Start::ReqSent,
        &[(Lcp(REQUEST, 1, &[5]), ""), (Lcp(REQUEST, 1, &[5, 0]), ""), (Lcp(REQUEST, 1, &[5, 1]), ""),
          (Lcp(REQUEST, 1, &[5, 7, 1, 2, 3, 4]), ""), (Lcp(REQUEST, 1, &[99, 2, 1, 0]), ""),
          (Answer(NAK, &[5, 1]), ""), (Answer(REJECT, &[5, 9]), ""), (Seconds(3), "req~ *")], Alive),
    ("malformed", "5.6: an empty Code-Reject is nothing", Start::Opened, &[(Lcp(CODE_REJECT, 1, &[]), "")], Alive),
    ("malformed", "6.5, 6.6: address and control may be there or not", Start::ReqSent,
        &[(Frame(&[0xff, 3, 0xc0, 0x21, 1, 6, 0, 4]), "ack ")], Alive),
];

/// A session somewhere on its way, and what has been said.
struct Rig {
    script: Script,
    /// Our last request of LCP.
    request: Option<Seen>,
    /// Our last frames by name, to tell a repetition.
    last_ids: BTreeMap<String, u8>,
    magic: String,
}

impl Rig {
    fn new(start: Start) -> Self {
        let config = match start {
            Start::Server | Start::Challenged => server(&[AuthProtocol::Chap, AuthProtocol::Pap]),
            _ => client(),
        };
        let script = Script::new(Config {
            lcp_rate: Duration::ZERO,
            ..config
        });
        let mut rig = Self {
            script,
            request: None,
            last_ids: BTreeMap::new(),
            magic: String::new(),
        };
        rig.hear(0);
        let ours = rig.request.clone().unwrap();
        rig.magic = hexadecimal(&ours.data[ours.data.len() - 4..]);
        let steps: &[Do] = match start {
            Start::ReqSent | Start::Server => &[],
            Start::AckSent => &[Lcp(REQUEST, 1, &MAGIC)],
            Start::AckRcvd => &[AnswerWithOurs(ACK)],
            Start::Opened | Start::Challenged => &[Lcp(REQUEST, 1, &MAGIC), AnswerWithOurs(ACK)],
            Start::Closing => &[Close],
            Start::Closed => &[Close, Lcp(TERMINATE_ACK, 0, &[])],
        };
        for step in steps {
            rig.carry_out(step);
        }
        rig
    }

    /// Does it, and returns what the session said.
    fn carry_out(&mut self, step: &Do) -> String {
        let ours = self.request.clone().unwrap();
        let mut lcp = |code, id, data: &[u8]| {
            self.script.lcp(code, id, data);
            id
        };
        let id = match *step {
            Lcp(code, id, data) => lcp(code, id, data),
            Answer(code, data) => lcp(code, ours.id, data),
            AnswerWithOurs(code) => lcp(code, ours.id, &ours.data),
            Mirror(id) => lcp(REQUEST, id, &ours.data),
            Of(protocol, code, id, data) => {
                self.script.send(protocol, code, id, data);
                id
            }
            Response(data) => {
                let id = self.last_ids["chap-1"];
                self.script.send(protocol::CHAP, 2, id, data);
                id
            }
            Frame(frame) => {
                self.script.session.handle_frame(self.script.now, frame);
                0
            }
            Seconds(seconds) => {
                self.script.wait(Duration::from_secs(seconds));
                0
            }
            Close => {
                let now = self.script.now;
                self.script.session.close(now, CloseReason::Administrative);
                0
            }
        };
        self.hear(id)
    }

    /// What the session says, after a packet with this identifier.
    fn hear(&mut self, id: u8) -> String {
        let frames = self.script.frames();
        let said = frames.into_iter().map(|frame| {
            let name = name(&frame);
            let before = self.last_ids.insert(name.clone(), frame.id);
            let ours = name == "req" || name == "term" || name == "chap-1";
            let mark = match (ours, before == Some(frame.id), frame.id == id) {
                (true, true, _) => "~",
                (false, _, true) => "=",
                _ => "",
            };
            let data = hexadecimal(&frame.data);
            if name == "req" {
                self.request = Some(frame);
            }
            format!("{name}{mark} {data}")
        });
        said.collect::<Vec<_>>().join("; ")
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn name(frame: &Seen) -> String {
    let name = match frame.protocol {
        protocol::LCP => match frame.code {
            REQUEST => "req",
            ACK => "ack",
            NAK => "nak",
            REJECT => "rej",
            TERMINATE => "term",
            TERMINATE_ACK => "term-ack",
            CODE_REJECT => "code-rej",
            PROTOCOL_REJECT => "proto-rej",
            ECHO => "echo",
            ECHO_REPLY => "echo-reply",
            code => return format!("lcp-{code}"),
        },
        protocol::IPCP => return format!("ipcp-{}", frame.code),
        protocol::CHAP => return format!("chap-{}", frame.code),
        other => return format!("{other:04x}-{}", frame.code),
    };
    name.to_owned()
}

/// Whether what was said is what is written, where `*` is any rest.
fn is_as(said: &str, written: &str) -> bool {
    let (said, written): (Vec<_>, Vec<_>) =
        (said.split("; ").collect(), written.split("; ").collect());
    let same = |(said, written): (&&str, &&str)| match written.strip_suffix('*') {
        Some(begin) => said.starts_with(begin),
        None => said == written,
    };
    said.len() == written.len() && said.iter().zip(&written).all(same)
}

#[test]
fn every_behaviour_is_that_of_the_rfc() {
    let mut groups: BTreeMap<&str, u32> = BTreeMap::new();
    for (group, what, start, steps, end) in ROWS {
        *groups.entry(*group).or_default() += 1;
        let mut rig = Rig::new(*start);
        for (place, (step, written)) in steps.iter().enumerate() {
            let written = written.replace("MAGIC", &rig.magic);
            let said = rig.carry_out(step);
            assert!(
                is_as(&said, &written),
                "{group}: {what}: step {place} says \"{said}\", not \"{written}\""
            );
        }
        let over = rig.script.closed().is_some();
        assert_eq!(over, *end == Over, "{group}: {what}: {start:?}");
    }
    let groups: Vec<_> = groups.into_iter().collect();
    let expected = [
        ("auth", 8),
        ("code-rej", 7),
        ("conf-ack", 6),
        ("conf-nak", 5),
        ("conf-rej", 3),
        ("conf-req", 13),
        ("echo", 7),
        ("magic", 4),
        ("malformed", 5),
        ("mru", 3),
        ("proto-rej", 7),
        ("terminate", 10),
        ("timers", 6),
    ];
    assert_eq!(groups, expected);
}
