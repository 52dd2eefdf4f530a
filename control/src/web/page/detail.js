// One link or set: its neighbours, its graph, what happened to it, and all its figures.

import { make, mark, place, say } from "./dom.js";
import { Events } from "./events.js";
import { ask, whyNot } from "./parts.js";
import { SetCard } from "./set.js";
import { nameOfSet } from "./verdict.js";
import { NONE, clock, figure } from "./words.js";

const RANGES = [["1h", "1 hour"], ["28h", "28 hours"], ["7d", "7 days"], ["365d", "1 year"]];
const KINDS = ["csv", "json", "png", "svg"];
const GRAPH_PERIOD_MS = 60_000;
const COUNTERS_PERIOD_MS = 5000;
/** Links of a set that are shown beside the one looked at. */
const NEIGHBOURS = 20;

export class Detail {
  #card = new SetCard();
  #gone = make("p", "fault", "No link or set has this name now. What is known of it from before:");
  #title = make("h2", "title");
  #picture;
  #figures = new Figures();
  #counters;
  graph;
  events;
  node;

  constructor(graph) {
    this.graph = graph;
    this.#picture = new Picture(graph);
    this.#counters = new Counters(graph);
    this.events = new Events(graph);
    this.#title.tabIndex = -1;
    const back = make("a", "back", "‹ All links");
    back.href = "#/";
    const more = make("div", "", make("h3", "", "Now and in the last minute"), this.#figures.node, this.#counters.node);
    const happened = make("div", "", make("h3", "", "Events"), this.events.node);
    this.node = make(
      "article",
      "detail",
      make("div", "line", back, this.#title),
      this.#gone,
      this.#card.node,
      this.#picture.node,
      make("div", "halves", happened, more),
    );
  }

  open() {
    this.events.load();
    this.#title.focus({ preventScroll: true });
    this.#picture.open();
  }

  close() {
    this.#picture.close();
  }

  update({ site, past }) {
    const { set, link } = find(site, this.graph);
    const thing = link ?? set;
    this.#gone.hidden = Boolean(thing);
    this.#card.node.hidden = this.#figures.node.hidden = !thing;
    say(this.#title, !thing || link ? this.graph : nameOfSet(set));
    if (!thing) return;
    const links = neighbours(set ? set.links : [link], link);
    const hidden = (set ? set.links.length : 1) - links.length;
    this.#card.update({ set, links, hidden, past, current: this.graph });
    const { links: _, ...figures } = thing;
    this.#figures.update(figures);
  }
}

function find(site, graph) {
  for (const set of site.sets) {
    if (set.graph === graph) return { set, link: null };
    const link = set.links.find((link) => link.graph === graph);
    if (link) return { set, link };
  }
  return { set: null, link: site.links.find((link) => link.graph === graph) ?? null };
}

/** The link looked at is among those shown. */
function neighbours(links, link) {
  const first = links.slice(0, NEIGHBOURS);
  return !link || first.includes(link) ? first : [link, ...first.slice(1)];
}

/** The graph of a while, and the same to take away. */
class Picture {
  #graph;
  #range = RANGES[0][0];
  #frame = make("div", "frame");
  #fault = make("p", "quiet empty");
  #buttons;
  #downloads;
  #timer = null;
  #asked = 0;
  node;

  constructor(graph) {
    this.#graph = graph;
    this.#buttons = RANGES.map(([range, word]) => {
      const button = make("button", "", word);
      button.type = "button";
      button.addEventListener("click", () => {
        this.#range = range;
        this.#show();
      });
      return button;
    });
    this.#downloads = KINDS.map((kind) => {
      const link = make("a", "", kind.toUpperCase());
      link.setAttribute("download", "");
      return link;
    });
    const ranges = make("div", "ranges", ...this.#buttons);
    ranges.setAttribute("role", "group");
    ranges.setAttribute("aria-label", "Graph of the last");
    const downloads = make("p", "downloads", "Download ", ...this.#downloads);
    this.#fault.hidden = true;
    this.node = make("section", "picture", make("div", "line", make("h3", "", "Graph"), ranges, downloads), this.#frame, this.#fault);
  }

  open() {
    this.#show();
    this.#timer = setInterval(() => document.hidden || this.#show(), GRAPH_PERIOD_MS);
  }

  close() {
    clearInterval(this.#timer);
    this.#asked += 1;
  }

  #address(kind) {
    return `/api/v1/graphs/${encodeURIComponent(this.#graph)}.${kind}?last=${this.#range}`;
  }

  #show() {
    const asked = (this.#asked += 1);
    RANGES.forEach(([range], at) => mark(this.#buttons[at], "aria-pressed", range === this.#range));
    KINDS.forEach((kind, at) => mark(this.#downloads[at], "href", this.#address(kind)));
    const image = new Image();
    image.alt = `Graph of ${this.#graph}, the last ${RANGES.find(([range]) => range === this.#range)[1]}`;
    image.addEventListener("load", () => this.#drawn(asked, [image]));
    image.addEventListener("error", () => this.#failed(asked));
    // What was drawn before is not taken from memory: the fragment differs.
    image.src = `${this.#address("svg")}#${Date.now()}`;
  }

  #drawn(asked, nodes) {
    if (asked !== this.#asked) return false;
    place(this.#frame, nodes);
    this.#fault.hidden = nodes.length > 0;
    return true;
  }

  /** An image does not say what went wrong; the same address asked again does. */
  async #failed(asked) {
    if (!this.#drawn(asked, [])) return;
    say(this.#fault, "no graph");
    try {
      await ask(this.#address("svg"));
    } catch (error) {
      if (asked === this.#asked) say(this.#fault, `no graph: ${whyNot(error)}`);
    }
  }
}

/** Every figure of an object, by its name. */
class Figures {
  #rows = new Map();
  node = make("dl", "figures");

  update(figures) {
    const rows = new Map();
    const nodes = flat("", figures).flatMap(([name, text]) => {
      const row = this.#rows.get(name) ?? { name: make("dt", "", label(name)), text: make("dd") };
      say(row.text, text);
      rows.set(name, row);
      return [row.name, row.text];
    });
    this.#rows = rows;
    place(this.node, nodes);
  }
}

/** The unit is with the figure. */
function label(name) {
  const bare = name.replace(/_bit_s$/, "_bits").replace(/_packet_s$/, "_packets").replace(/_(unix_ms|us|ms|s)(?= |$)/g, "");
  return bare.replaceAll("_", " ");
}

/** `[name, text]` of every figure, however deep. */
function flat(path, value) {
  if (Array.isArray(value) && value.every((item) => typeof item !== "object")) {
    return [[path, value.join(", ") || NONE]];
  }
  if (value === null || typeof value !== "object") return [[path, figure(withUnit(path), value)]];
  return Object.entries(value).flatMap(([name, inner]) => flat(path ? `${path} ${name}` : name, inner));
}

/** `latency_us mean` is microseconds too. */
function withUnit(path) {
  const parts = path.split(" ");
  return parts.find((part) => part.endsWith("_us")) ?? parts.at(-1);
}

/** What `hal2tp status` says of a link or set. It is of the whole appliance, so it is asked for only while somebody looks. */
class Counters {
  #graph;
  #figures = new Figures();
  #told = make("p", "quiet");
  #timer = null;
  node;

  constructor(graph) {
    this.#graph = graph;
    this.node = make("details", "", make("summary", "", "All counters"), this.#told, this.#figures.node);
    this.node.addEventListener("toggle", () => this.#ask());
  }

  async #ask() {
    clearTimeout(this.#timer);
    if (!this.node.open || !this.node.isConnected) return;
    const began = performance.now();
    try {
      const answer = await ask("/api/v1/status");
      const status = await answer.json();
      const found =
        status.sessions.find(({ name }) => name === this.#graph) ??
        status.sets.find(({ name, remote }) => `set/${name}/${remote}` === this.#graph);
      this.#figures.update(found ?? {});
      say(this.#told, found ? `As of ${clock(Date.now())}` : "It is not there now.");
    } catch (error) {
      say(this.#told, `No counters could be had: ${whyNot(error)}.`);
    }
    // An answer that takes long is asked for seldom.
    const took = performance.now() - began;
    this.#timer = setTimeout(() => this.#ask(), Math.max(COUNTERS_PERIOD_MS, took * 20));
  }
}
