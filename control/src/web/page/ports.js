// The ports, and what they dropped for which reason.

import { Kept, make, mark, place, say } from "./dom.js";
import { Listing, text, twoTexts } from "./listing.js";
import { Chip } from "./parts.js";
import { NONE, THIN, count, scaled } from "./words.js";

/** A list of ports; its items are `{ port, before }`, with what is known of the port's last minute. */
export function newPorts() {
  return new Listing({
    caption: "Ports",
    columns: [
      { title: "Port", kind: "name", cell: twoTexts(({ port }) => port.name, ({ port }) => `${port.device}, ${port.driver}`) },
      { title: "Link", kind: "verdict", cell: linkCell },
      { title: "In", kind: "number", cell: wayCell("received") },
      { title: "Out", kind: "number", cell: wayCell("sent") },
      { title: "To control", kind: "number", cell: text(({ port }) => count(port.punted_packets)) },
      { title: "MTU", kind: "number", cell: twoTexts(({ port }) => count(port.mtu), ({ port }) => port.mac) },
      { title: "Drops", kind: "drops", cell: dropsCell },
    ],
    keyOf: ({ port }) => port.name,
    textOf: ({ port }) => [port.name, port.device, port.driver, port.mac, port.link, ...Object.keys(port.drops ?? {})].join(" "),
    find: "Find a port",
    empty: "No port is there.",
  });
}

function linkCell(td) {
  const chip = new Chip();
  td.append(chip.node);
  return ({ port }) => chip.update(port.link === "up" ? "good" : "down", port.link);
}

function wayCell(way) {
  return twoTexts(
    ({ port, before }) => scaled(8 * rate(port, before, `${way}_octets`), "bit/s"),
    ({ port }) => `${scaled(port[`${way}_packets`], "packets")}, ${scaled(port[`${way}_octets`], "B")}`,
  );
}

/** A second. */
function rate(port, before, counter) {
  if (!before || before.second.passed_s === 0) return NaN;
  return Math.max(0, port[counter] - before.second.port[counter]) / before.second.passed_s;
}

/** Those that grow first. */
function dropsCell(td) {
  const none = make("span", "quiet", NONE);
  const list = make("ul", "drops");
  const items = new Kept();
  td.append(none, list);
  return ({ port, before }) => {
    const earlier = before?.minute.port.drops ?? {};
    const drops = Object.entries(port.drops ?? {}).map(([reason, total]) => {
      const grown = before?.minute.passed_s ? total - (earlier[reason] ?? 0) : 0;
      return { reason, total, grown };
    });
    drops.sort((one, other) => other.grown - one.grown || other.total - one.total);
    const lines = items.of(drops, ({ reason }) => reason, newDrop);
    lines.forEach((line, at) => line.update(drops[at]));
    place(list, lines.map(({ node }) => node));
    none.hidden = lines.length > 0;
  };
}

function newDrop({ reason }) {
  const [total, grown] = [make("b"), make("span", "grown")];
  const node = make("li", "", `${reason} `, total, grown);
  return {
    node,
    update: (drop) => {
      say(total, count(drop.total));
      say(grown, drop.grown > 0 ? ` +${count(drop.grown)} in 1${THIN}min` : "");
      mark(node, "data-grown", drop.grown > 0 ? "" : null);
    },
  };
}
