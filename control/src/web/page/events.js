// What happened, the newest first.

import { mark, make, say } from "./dom.js";
import { Listing, text } from "./listing.js";
import { Chip, ask, detailOf, whyNot } from "./parts.js";
import { nameOfSet } from "./verdict.js";
import { clock } from "./words.js";

const MOST = 1000;
const PAUSE_MS = 250;
/** What an event came to. */
const VERDICTS = {
  "link-up": "good",
  "link-down": "down",
  "fault-began": "bad",
  "fault-ended": "good",
  "link-masked": "degraded",
  "link-unmasked": "good",
  "set-protected": "good",
  "set-one-link": "degraded",
  "set-unprotected": "degraded",
  "set-down": "down",
  "conflict-began": "bad",
  "conflict-ended": "good",
  "reloaded": "good",
  "reload-refused": "bad",
};

export class Events {
  #graph;
  #events = [];
  #asked = 0;
  #fresh = [];
  #timer = null;
  #fault = make("p", "fault");
  #list;
  node;

  /** Of one link or set, or of all. */
  constructor(graph = null) {
    this.#graph = graph;
    this.#list = new Listing({
      caption: "Events, the newest first",
      columns: graph === null ? [WHEN, WHAT, WHO, WHY] : [WHEN, WHAT, WHY],
      keyOf: keyOf,
      textOf: (event) => `${event.event} ${nameOf(event)} ${event.text}`,
      find: "Find an event",
      empty: "Nothing happened yet.",
    });
    this.#fault.hidden = true;
    this.node = make("div", "", this.#fault, this.#list.node);
  }

  /** Asks for what happened before, and while there was no stream. */
  async load() {
    const asked = (this.#asked += 1);
    const query = new URLSearchParams({ most: MOST });
    if (this.#graph !== null) query.set("graph", this.#graph);
    try {
      const answer = await ask(`/api/v1/events?${query}`);
      const { events } = await answer.json();
      if (asked !== this.#asked) return;
      this.#fault.hidden = true;
      this.#take([...this.#events, ...events]);
    } catch (error) {
      this.#fault.hidden = false;
      say(this.#fault, `No events could be had: ${whyNot(error)}.`);
    }
  }

  /** Takes one from the stream. Thousands may come at once, and are shown together. */
  add(event) {
    if (this.#graph !== null && graphOf(event) !== this.#graph) return;
    this.#fresh.push(event);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#take([...this.#fresh.splice(0).reverse(), ...this.#events]);
    }, PAUSE_MS);
  }

  #take(events) {
    const once = new Map(events.map((event) => [keyOf(event), event]));
    const newest = [...once.values()].sort((one, other) => other.at_unix_ms - one.at_unix_ms);
    this.#events = newest.slice(0, MOST);
    this.#list.update(this.#events);
  }
}

const WHEN = {
  title: "When",
  kind: "when",
  cell: (td) => {
    const time = make("time");
    td.append(time);
    return ({ at_unix_ms: at }) => {
      say(time, clock(at));
      const date = new Date(at);
      mark(time, "datetime", Number.isNaN(date.getTime()) ? null : date.toISOString());
    };
  },
};
const WHAT = {
  title: "What",
  kind: "what",
  cell: (td) => {
    const chip = new Chip();
    td.append(chip.node);
    return ({ event }) => chip.update(VERDICTS[event], String(event).replaceAll("-", " "));
  },
};
const WHO = {
  title: "Link or set",
  kind: "whom",
  cell: (td) => {
    const name = make("a");
    td.append(name);
    return (event) => {
      say(name, nameOf(event));
      mark(name, "href", ofAppliance(event) ? null : detailOf(graphOf(event)));
    };
  },
};
const WHY = { title: "Why", kind: "said", cell: text((event) => event.text) };

/** Whether it happened to no link and no set. */
function ofAppliance(event) {
  return (event.link ?? event.set) === undefined;
}

function graphOf(event) {
  return event.link ?? `set/${event.set}/${event.remote}`;
}

function nameOf(event) {
  if (ofAppliance(event)) return "the appliance";
  return event.link ?? nameOfSet({ name: event.set, remote: event.remote });
}

function keyOf(event) {
  return JSON.stringify([event.at_unix_ms, event.event, graphOf(event), event.text]);
}
