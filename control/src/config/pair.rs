//! Whether the two ends of a tunnel fit together, when both files are there:
//! what no file alone can show.

use std::net::IpAddr;

use dataplane::command::Prefix;

use super::model::{Config, Incoming, Match, Outgoing};
use super::problem::Problems;
use super::tree::{Node, Path, printable};

/// One file of those that are checked together.
pub(crate) struct File<'t> {
    pub(crate) name: &'t str,
    pub(crate) root: &'t Node,
    pub(crate) config: Config,
    pub(crate) problems: Problems<'t>,
}

/// A tunnel's place in the files.
#[derive(Clone, Copy)]
struct Far {
    file: usize,
    incoming: usize,
}

fn outgoing_path(index: usize) -> Path {
    Path::default().key("l2tp").key("outgoing").index(index)
}

fn incoming_path(index: usize) -> Path {
    Path::default().key("l2tp").key("incoming").index(index)
}

fn match_path(incoming: usize, number: usize) -> Path {
    incoming_path(incoming).key("match").index(number)
}

/// Reports, at the outgoing end, what the other files do not accept.
pub(crate) fn check(files: &mut [File<'_>]) {
    let served = |file: &File<'_>| !file.config.l2tp.incoming.is_empty();
    for index in 0..files.len() {
        let others = files.iter().enumerate();
        if !others
            .clone()
            .any(|(other, file)| other != index && served(file))
        {
            continue;
        }
        for tunnel in 0..files[index].config.l2tp.outgoing.len() {
            let found = findings(files, index, tunnel);
            for (path, message, remedy) in found {
                files[index].problems.error(&path, message, remedy);
            }
        }
    }
}

type Finding = (Path, String, String);

fn findings(files: &[File<'_>], index: usize, place: usize) -> Vec<Finding> {
    let file = &files[index];
    let tunnel = &file.config.l2tp.outgoing[place];
    let path = outgoing_path(place);
    let mut found = Vec::new();
    let address = tunnel.server.address();
    let server_known = address.is_some() && file.problems.sound(&path.key("server"));
    let at_server =
        |other: usize| address.is_some_and(|server| has_address(&files[other].config, server));
    let others: Vec<usize> = (0..files.len()).filter(|other| *other != index).collect();
    if server_known && !others.iter().any(|other| at_server(*other)) {
        found.push((
            path.key("server"),
            format!("no other file here has the address {}", tunnel.server),
            "write an address of the far end (if a NAT stands before it, check this file alone)"
                .to_owned(),
        ));
    }
    // When the server is not known, or a name to be looked up, our Host Name still tells the far end.
    let candidates: Vec<Far> = others
        .iter()
        .filter(|other| !server_known || at_server(**other) || found.len() == 1)
        .flat_map(|other| {
            let incoming = files[*other].config.l2tp.incoming.len();
            (0..incoming).map(|incoming| Far {
                file: *other,
                incoming,
            })
        })
        .collect();
    if !file.problems.sound(&path.key("hostname")) {
        return found;
    }
    let Some(far) = accepting(files, &candidates, tunnel, server_known) else {
        if !candidates.is_empty() {
            found.push(not_accepted(files, &candidates, tunnel, &path));
        }
        return found;
    };
    found.extend(secrets(files, index, place, far));
    found.extend(logins(files, index, place, far));
    found.extend(authentication(files, index, place, far));
    found
}

/// Whether what is to go through a link of IPv6 is let through at its other end.
fn families(
    files: &[File<'_>],
    index: usize,
    number: usize,
    far: Far,
    login: usize,
) -> Option<Finding> {
    let (path, far_path) = (outgoing_path(number), match_path(far.incoming, login));
    let (ours, theirs) = (&files[index], &files[far.file]);
    let key = path.key("routes");
    let tunnel = &ours.config.l2tp.outgoing[number];
    let incoming = incoming_of(files, far);
    let link = &incoming.matches[login];
    // A broken part may be the one that is missed.
    let sound = |file: &File<'_>, keys: &[Path]| {
        let known = ["interfaces", "routes", "ha-sets"].map(|key| Path::default().key(key));
        keys.iter()
            .chain(&known)
            .all(|key| file.problems.sound(key))
    };
    if !sound(ours, &[key.clone(), path.key("payload-table")])
        || !sound(
            theirs,
            &[
                far_path.clone(),
                incoming_path(far.incoming).key("payload-table"),
            ],
        )
    {
        return None;
    }
    let is_ipv6 = |routes: &[Prefix]| routes.iter().any(|route| route.address.is_ipv6());
    let we_do = ours
        .config
        .carries_ipv6(tunnel.payload_table, tunnel.ha_set, tunnel.routes.iter());
    let they_do =
        theirs
            .config
            .carries_ipv6(incoming.payload_table, link.ha_set, link.routes.iter());
    let at = place(files, far.file, &far_path);
    let message = if is_ipv6(&tunnel.routes) && !they_do {
        format!("IPv6 is routed into this link, and the far end has none for it ({at})")
    } else if is_ipv6(&link.routes) && !we_do {
        format!("the far end routes IPv6 into this link ({at}), and there is none here")
    } else {
        return None;
    };
    let remedy = "write IPv6 `routes` at both ends, or IPv6 addresses on the interfaces of both payload tables";
    Some((key, message, remedy.to_owned()))
}

fn has_address(config: &Config, address: IpAddr) -> bool {
    let mut interfaces = config.interfaces.iter();
    interfaces.any(|interface| interface.addresses.iter().any(|own| own.address == address))
}

/// The `incoming` that takes this tunnel: the one for its host name, else one for any.
fn accepting(
    files: &[File<'_>],
    candidates: &[Far],
    tunnel: &Outgoing,
    server_known: bool,
) -> Option<Far> {
    let listens = |incoming: &Incoming| {
        let server = tunnel.server.address().filter(|_| server_known);
        incoming.listen.is_empty() || server.is_none_or(|server| incoming.listen.contains(&server))
    };
    let find = |hostname: Option<&str>| {
        candidates.iter().copied().find(|far| {
            let incoming = incoming_of(files, *far);
            incoming.remote_hostname.as_deref() == hostname && listens(incoming)
        })
    };
    find(Some(&tunnel.hostname)).or_else(|| find(None))
}

fn incoming_of<'f>(files: &'f [File<'_>], far: Far) -> &'f Incoming {
    &files[far.file].config.l2tp.incoming[far.incoming]
}

/// `head.yaml line 12`
fn place(files: &[File<'_>], file: usize, path: &Path) -> String {
    let line = files[file].root.locate(path).line;
    format!("{} line {line}", files[file].name)
}

fn not_accepted(files: &[File<'_>], candidates: &[Far], tunnel: &Outgoing, path: &Path) -> Finding {
    let accepted: Vec<String> = candidates
        .iter()
        .map(|far| {
            let incoming = incoming_of(files, *far);
            let key = incoming_path(far.incoming).key("remote-hostname");
            let name = incoming.remote_hostname.as_deref().unwrap_or("any");
            let at = place(files, far.file, &key);
            if incoming.listen.is_empty() {
                format!("{name} ({at})")
            } else {
                let listen: Vec<String> = incoming.listen.iter().map(ToString::to_string).collect();
                format!("{name} at {} ({at})", listen.join(", "))
            }
        })
        .collect();
    (
        path.key("hostname"),
        format!(
            "no `incoming` of the far end accepts the host name \"{}\" at this server",
            tunnel.hostname
        ),
        format!("accepted there: {}", accepted.join("; ")),
    )
}

fn secrets(files: &[File<'_>], index: usize, number: usize, far: Far) -> Option<Finding> {
    let (path, far_path) = (outgoing_path(number), incoming_path(far.incoming));
    let (key, far_key) = (path.key("secret"), far_path.key("secret"));
    if !files[index].problems.sound(&key) || !files[far.file].problems.sound(&far_key) {
        return None;
    }
    let ours = &files[index].config.l2tp.outgoing[number].secret;
    let theirs = &incoming_of(files, far).secret;
    if ours == theirs {
        return None;
    }
    let at = place(files, far.file, &far_key);
    let message = match (ours, theirs) {
        (Some(_), None) => {
            format!("the far end has no secret ({at}), so it cannot answer our challenge")
        }
        (None, _) => format!("the far end has a secret ({at}), so we cannot answer its challenge"),
        (Some(_), Some(_)) => format!("the secret is not the far end's ({at})"),
    };
    Some((
        key,
        message,
        "write the same `secret` at both ends".to_owned(),
    ))
}

/// Whether there is a way to log in that both ends know.
fn authentication(files: &[File<'_>], index: usize, number: usize, far: Far) -> Option<Finding> {
    let key = |of: Path| of.key("ppp").key("authentication");
    let (path, far_path) = (key(outgoing_path(number)), key(incoming_path(far.incoming)));
    let sound = files[index].problems.sound(&path) && files[far.file].problems.sound(&far_path);
    let ours = &files[index].config.l2tp.outgoing[number].ppp.link;
    let theirs = &incoming_of(files, far).ppp.link;
    let mut common = ours.authentication.iter();
    if !sound || common.any(|protocol| theirs.authentication.contains(protocol)) {
        return None;
    }
    let at = place(files, far.file, &far_path);
    Some((
        path,
        format!("the far end takes none of these ways to log in ({at})"),
        "let both ends have one in common, as chap".to_owned(),
    ))
}

/// What PPP says: user name, password, and whether both ends mean a set.
fn logins(files: &[File<'_>], index: usize, number: usize, far: Far) -> Vec<Finding> {
    let path = outgoing_path(number);
    let problems = &files[index].problems;
    let readable = |key: &str| files[index].root.find(&path.key(key)).is_some();
    let tunnel = &files[index].config.l2tp.outgoing[number];
    if !readable("username") || tunnel.username.is_empty() {
        return Vec::new();
    }
    let incoming = incoming_of(files, far);
    let login = incoming
        .matches
        .iter()
        .position(|login| login.username == tunnel.username);
    let Some(login) = login else {
        let names: Vec<String> = incoming
            .matches
            .iter()
            .map(|m| printable(&m.username))
            .collect();
        let match_key = incoming_path(far.incoming).key("match");
        return vec![(
            path.key("username"),
            format!(
                "the far end has no `match` for the username \"{}\" ({})",
                printable(&tunnel.username),
                place(files, far.file, &match_key)
            ),
            format!("the usernames there are: {}", names.join(", ")),
        )];
    };
    let mut found = Vec::from_iter(families(files, index, number, far, login));
    let far_path = match_path(far.incoming, login);
    let far_problems = &files[far.file].problems;
    let both = |key: &str| problems.sound(&path.key(key)) && far_problems.sound(&far_path.key(key));
    let theirs: &Match = &incoming.matches[login];
    if both("password") && theirs.password != tunnel.password {
        found.push((
            path.key("password"),
            format!(
                "the password cannot match: the far end has another for \"{}\" ({})",
                printable(&tunnel.username),
                place(files, far.file, &far_path.key("password"))
            ),
            "write the same `password` at both ends".to_owned(),
        ));
    }
    let sets_known =
        both("ha-set") && far_problems.sound(&incoming_path(far.incoming).key("ha-set"));
    if sets_known && tunnel.ha_set.is_some() != theirs.ha_set.is_some() {
        let (here, there) = if tunnel.ha_set.is_some() {
            ("is", "is not")
        } else {
            ("is not", "is")
        };
        found.push((
            path.key("ha-set"),
            format!(
                "this link {here} in a set, and the far end's {there} ({})",
                place(files, far.file, &far_path)
            ),
            "write `ha-set` at both ends, or at neither".to_owned(),
        ));
    }
    if let (true, Some(ours), Some(theirs)) = (sets_known, tunnel.ha_set, theirs.ha_set) {
        found.extend(set_mtu(files, index, ours, (far.file, theirs)));
    }
    found
}

/// Whether both ends of a set present the same MTU.
fn set_mtu(
    files: &[File<'_>],
    index: usize,
    set: usize,
    (far_file, far_set): (usize, usize),
) -> Option<Finding> {
    let key = |set| Path::default().key("ha-sets").index(set).key("mtu");
    let sound =
        files[index].problems.sound(&key(set)) && files[far_file].problems.sound(&key(far_set));
    let ours = files[index].config.ha_sets[set].mtu;
    let theirs = files[far_file].config.ha_sets[far_set].mtu;
    (sound && ours != theirs).then(|| {
        (
            key(set),
            format!(
                "packets of up to {ours} octets go into the set here, and of up to {theirs} at the far end ({})",
                place(files, far_file, &key(far_set))
            ),
            "write the same `mtu` for the set at both ends".to_owned(),
        )
    })
}
