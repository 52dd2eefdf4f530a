// What the last two minutes of news said of each link and set.

/** Seconds. */
export const KEPT = 120;
/** A second in which a link was down, in `loss`. */
export const OFFLINE = -1;
const MINUTE = 60;

/** Rings with one slot for each second; NaN where nothing is known. */
class Ring {
  constructor(...names) {
    for (const name of names) this[name] = new Float64Array(KEPT).fill(NaN);
    this.names = names;
  }

  forget(slot) {
    for (const name of this.names) this[name][slot] = NaN;
  }
}

export class Past {
  #rings = new Map();
  #number = null;

  /** Notes what a site document says. */
  take(site) {
    const passed = this.#number === null ? 0 : site.number - this.#number;
    // Numbers begin anew with the appliance; the same number again brings nothing new.
    if (passed < 0 || passed >= KEPT) this.#rings.clear();
    const skipped = [];
    for (let number = site.number - Math.min(passed, KEPT) + 1; number <= site.number; number += 1) {
      skipped.push(number % KEPT);
    }
    this.#number = site.number;
    const kept = new Map();
    const noteLink = (link) => {
      const ring = this.#rings.get(link.graph) ?? new Ring("loss", "latency");
      kept.set(link.graph, ring);
      for (const slot of skipped) ring.forget(slot);
      this.#noteLink(ring, link, passed);
    };
    for (const set of site.sets) {
      const ring = this.#rings.get(set.graph) ?? new Ring("saved", "lost");
      kept.set(set.graph, ring);
      for (const slot of skipped) ring.forget(slot);
      ring.saved[this.#slot] = set.saved_packets;
      ring.lost[this.#slot] = set.lost_packets;
      set.links.forEach(noteLink);
    }
    site.links.forEach(noteLink);
    for (const port of site.ports) {
      const ring = this.#rings.get(portKey(port)) ?? new Ring();
      kept.set(portKey(port), ring);
      this.#notePort(ring, port, passed);
    }
    this.#rings = kept;
  }

  get #slot() {
    return this.#number % KEPT;
  }

  #noteLink(ring, link, passed) {
    const up = link.state === "up" || link.state === "standby";
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

  #notePort(ring, port, passed) {
    ring.ports ??= [];
    if (passed > 0 || ring.ports.length === 0) ring.ports.push({ number: this.#number, port });
    while (ring.ports[0].number < this.#number - MINUTE) ring.ports.shift();
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
    const noted = this.#rings.get(portKey(port))?.ports ?? [];
    const newest = noted.at(-1);
    const ago = (then) => ({ port: then.port, passed_s: newest.number - then.number });
    return newest && { second: ago(noted.at(-2) ?? newest), minute: ago(noted[0]) };
  }
}

function portKey(port) {
  return `port ${port.name}`;
}
