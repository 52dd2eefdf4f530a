// The tunnels, those that are not established first.

import { make, say } from "./dom.js";
import { Listing, text, twoTexts } from "./listing.js";
import { Chip } from "./parts.js";
import { NONE, span } from "./words.js";

/** Whether a tunnel is there. */
export function established(tunnel) {
  return tunnel.state === "established";
}

/** A list of tunnels. */
export function newTunnels() {
  return new Listing({
    caption: "Tunnels",
    columns: [
      { title: "Tunnel", kind: "name", cell: twoTexts((tunnel) => tunnel.name, (tunnel) => `${tunnel.role}, table ${tunnel.table}`) },
      { title: "State", kind: "verdict", cell: stateCell },
      { title: "Peer", kind: "text", cell: twoTexts((tunnel) => tunnel.peer_address ?? NONE, (tunnel) => tunnel.peer_hostname ?? "") },
      { title: "Ours", kind: "text", cell: text((tunnel) => tunnel.local_address ?? NONE) },
      { title: "Ids, ours and the peer's", kind: "number", cell: text((tunnel) => `${tunnel.local_tunnel_id} / ${tunnel.peer_tunnel_id}`) },
      { title: "Last result", kind: "text", cell: resultCell },
    ],
    keyOf: (tunnel) => JSON.stringify([tunnel.name, tunnel.role, tunnel.local_tunnel_id, tunnel.peer_address]),
    textOf: (tunnel) => [tunnel.name, tunnel.state, tunnel.peer_address, tunnel.peer_hostname, tunnel.last_result].join(" "),
    find: "Find a tunnel",
    empty: "No tunnel is configured, or none is there.",
  });
}

/** Those that are not established first. */
export function inOrder(tunnels) {
  return [...tunnels.filter((tunnel) => !established(tunnel)), ...tunnels.filter(established)];
}

function stateCell(td) {
  const chip = new Chip();
  const since = make("span", "small");
  td.append(chip.node, since);
  return (tunnel) => {
    chip.update(established(tunnel) ? "good" : "down", tunnel.state);
    say(since, established(tunnel) ? `for ${span(tunnel.up_s)}` : "");
  };
}

function resultCell(td) {
  return twoTexts(
    (tunnel) => tunnel.last_result ?? NONE,
    (tunnel) => (tunnel.next_attempt_s === undefined ? "" : `next attempt in ${span(tunnel.next_attempt_s)}`),
  )(td);
}
