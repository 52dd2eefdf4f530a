//! Uplinks as ISPs deliver them: the remote's addresses come from others' servers, which change them, fall silent
//! and come back under traffic.

mod dhcp;
