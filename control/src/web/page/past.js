// What the last two minutes of news said of each link and set.

import { isUp } from "./verdict.js";

/** Seconds. */
export const KEPT = 120;
/** A second in which a link was down, in `loss`. */
export const OFFLINE = -1;
const MINUTE = 60;
const BRIDGED = 5;

/** Rings with one slot for each second; NaN where nothing is known. */
class Ring {
  constructor(...names) {
    for (const name of names) this[name] = new Float64Array(KEPT).fill(NaN);
    this.names = names;
  }

  /** Whatever the slot `from` has, the others have too; with no `from` they have nothing. */
  fill(slots, from) {
    for (const name of this.names) {
      const value = from === undefined ? NaN : this[name][from];
      for (const slot of slots) this[name][slot] = value;
    }
  }
}

export class Past {
  #rings = new Map();
  #ports = new Map();
  #number = null;

  /** Notes what a site document says. */
  take(site) {
    const passed = this.#number === null ? 0 : site.number - this.#number;
    // Numbers begin anew with the appliance; the same number again brings nothing new.
    if (passed < 0 || passed >= KEPT) this.#rings.clear();
    const skipped = [];
    for (let number = site.number - Math.min(passed, KEPT) + 1; number < site.number; number += 1) {
      skipped.push(number % KEPT);
    }
    this.#number = site.number;
    const kept = new Map();
    const noteLink = (link) => {
      const ring = this.#rings.get(link.graph) ?? new Ring("loss", "latency");
      kept.set(link.graph, ring);
      this.#noteLink(ring, link, passed);
      this.#bridge(ring, skipped);
    };
    for (const set of site.sets) {
      const ring = this.#rings.get(set.graph) ?? new Ring("saved", "lost");
      kept.set(set.graph, ring);
      ring.saved[this.#slot] = set.saved_packets;
      ring.lost[this.#slot] = set.lost_packets;
      this.#bridge(ring, skipped);
      set.links.forEach(noteLink);
    }
    site.links.forEach(noteLink);
    this.#rings = kept;
    this.#ports = new Map(site.ports.map((port) => [port.name, this.#portsOf(port, passed)]));
  }

  get #slot() {
    return this.#number % KEPT;
  }

  /** A few seconds without news are told by the news after them: counters go on. More are not known. */
  #bridge(ring, skipped) {
    ring.fill(skipped, skipped.length <= BRIDGED ? this.#slot : undefined);
  }

  #noteLink(ring, link, passed) {
    const up = isUp(link);
    if (passed !== 0) ring.loss[this.#slot] = NaN;
    ring.latency[this.#slot] = up ? (link.minute?.latency_us?.mean ?? NaN) : NaN;
    if (!up) {
      ring.loss[this.#slot] = OFFLINE;
    } else if (passed > 0 && ring.lost_packets !== undefined) {
      // Losses are settled two seconds after the packets, and are taken back: a ratio of about that second.
      const lost = Math.max(0, link.lost_packets - ring.lost_packets);
      const arrived = (link.rates?.received_packet_s ?? 0) * passed;
      ring.loss[this.#slot] = lost + arrived > 0 ? lost / (lost + arrived) : 0;
    }
    if (passed > 0 || ring.lost_packets === undefined) ring.lost_packets = link.lost_packets;
  }

  /** A port as it was in each second of the last minute. */
  #portsOf(port, passed) {
    const noted = passed < 0 ? [] : (this.#ports.get(port.name) ?? []);
    if (passed > 0 || noted.length === 0) noted.push({ number: this.#number, port });
    while (noted[0].number < this.#number - MINUTE) noted.shift();
    return noted;
  }

  /** The rings of a link or set, and the slot of the newest second. */
  of(graph) {
    return { ring: this.#rings.get(graph), slot: this.#slot };
  }

  /** How much the counter `name` of a set grew in the last minute, or since there is news. */
  grown(graph, name) {
    const values = this.#rings.get(graph)?.[name];
    if (!values) return 0;
    for (let age = MINUTE; age > 0; age -= 1) {
      const before = values[(this.#slot - age + KEPT) % KEPT];
      if (!Number.isNaN(before)) return values[this.#slot] - before;
    }
    return 0;
  }

  /** A port as it was a second and a minute ago (or as long ago as is known), and how many seconds that is. */
  ofPort(port) {
    const noted = this.#ports.get(port.name) ?? [];
    const newest = noted.at(-1);
    const ago = (then) => ({ port: then.port, passed_s: newest.number - then.number });
    return newest && { second: ago(noted.at(-2) ?? newest), minute: ago(noted[0]) };
  }
}
