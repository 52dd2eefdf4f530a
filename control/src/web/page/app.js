// The page: what the appliance says goes to the headline and to the view that the address names.

import { Detail } from "./detail.js";
import { Kept, make, mark, place, say } from "./dom.js";
import { Events } from "./events.js";
import { LinksView } from "./links.js";
import { News } from "./news.js";
import { detailOf } from "./parts.js";
import { Past } from "./past.js";
import { newPorts } from "./ports.js";
import { established, inOrder, newTunnels } from "./tunnels.js";
import { SIGNS, judge, untold } from "./verdict.js";
import { clock, count, span, straight } from "./words.js";

/** Events that a broken stream did not bring are asked for. */
const EVENTS_PERIOD_MS = 10_000;

const at = (id) => document.getElementById(id);

class App {
  #past = new Past();
  #news = new News(this);
  #site = null;
  #judged = null;
  #state = "silent";
  #announced = "";
  #view = null;
  #views = new Map();
  #links = new LinksView();
  #tunnels = newTunnels();
  #ports = newPorts();
  #events = new Events();
  #detail = null;
  #scrolled = 0;
  #eventsAsked = -Infinity;
  #troubles = new Kept();

  start() {
    this.#views.set("/", this.#links.node);
    for (const [path, title, list] of [["/tunnels", "Tunnels", this.#tunnels], ["/ports", "Ports", this.#ports], ["/events", "Events", this.#events]]) {
      this.#views.set(path, make("section", "view", make("h2", "", title), list.node));
    }
    at("main").replaceChildren(...this.#views.values());
    addEventListener("hashchange", () => this.#route());
    addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("visibilitychange", () => this.#show());
    this.#route();
    this.#news.start();
  }

  site(site) {
    // The page of another version may not fit.
    if (this.#site && this.#site.version !== site.version) location.reload();
    this.#past.take(site);
    this.#judged = judge(site);
    this.#site = site;
    this.look();
    this.#show();
  }

  event(event) {
    this.#events.add(event);
    this.#detail?.events.add(event);
  }

  /** Twice a second, news or not. */
  look() {
    const before = this.#state;
    this.#state = this.#news.state;
    document.body.classList.toggle("silent", this.#state === "silent");
    if (before === "silent" && this.#state !== "silent") this.#askEvents();
    if (this.#state === "polling" && performance.now() - this.#eventsAsked > EVENTS_PERIOD_MS) this.#askEvents();
    this.#headline();
    this.#silence();
  }

  #askEvents() {
    this.#eventsAsked = performance.now();
    if (this.#view === "/events") this.#events.load();
    this.#detail?.events.load();
  }

  #headline() {
    const silent = this.#state === "silent";
    const site = this.#site;
    const verdict = silent || !site ? "unknown" : this.#judged.verdict;
    mark(at("headline"), "class", `headline ${verdict}`);
    mark(at("headline").querySelector("use"), "href", `#symbol-${verdict}`);
    mark(at("icon"), "href", verdict === "unknown" ? "/icon.svg" : `/icons/${verdict}.svg`);
    if (!site) return;
    const { text, first } = this.#judged;
    const told = silent ? `No news of ${straight(site.name)}. Last known: ${text}` : text;
    say(at("verdict").firstElementChild, told);
    mark(at("verdict").firstElementChild, "href", first ? detailOf(first.graph) : null);
    const short = silent ? "no news" : first ? `${first.name} ${first.verdict}` : verdict === "good" ? "all well" : verdict;
    const title = `${SIGNS[verdict]} ${short} – ${straight(site.name)}`;
    if (document.title !== title) document.title = title;
    // Figures change all the time: only another verdict, or another culprit, is told aloud.
    const subject = `${verdict} ${first?.graph}`;
    if (subject !== this.#announced) say(at("announced"), told);
    this.#announced = subject;
  }

  #silence() {
    const silent_s = Math.floor(this.#news.silent_s);
    const since = this.#site ? `no news since ${span(silent_s)}` : `no news yet, for ${span(silent_s)}`;
    const from = this.#site ? `; what you see is of ${clock(this.#site.at_unix_ms)}` : "";
    const why = this.#news.fault ? ` (${this.#news.fault})` : "";
    at("silence").hidden = this.#state !== "silent" || silent_s < 3;
    say(at("silence"), `${since}${why}${from}. Trying again.`);
    const state = this.#site ? this.#state : "silent";
    say(at("news"), { live: "live", polling: "no stream: asking every 2 s", silent: "no news" }[state]);
    mark(at("news"), "class", `news ${state}`);
  }

  #show() {
    const site = this.#site;
    if (!site || document.hidden) return;
    say(at("name"), site.name);
    say(at("about"), `hal2tp ${site.version}, up ${span(site.uptime_s)}, ${clock(site.at_unix_ms)}`);
    this.#showTroubles();
    this.#showCounts();
    const news = { site, judged: this.#judged, past: this.#past };
    if (this.#detail) this.#detail.update(news);
    else if (this.#view === "/") this.#links.update(news);
    else if (this.#view === "/tunnels") this.#tunnels.update(inOrder(site.tunnels));
    else if (this.#view === "/ports") this.#ports.update(site.ports.map((port) => ({ port, before: this.#past.ofPort(port) })));
  }

  /** The first trouble is the headline; the others stand below it. */
  #showTroubles() {
    const others = this.#judged.troubles.slice(1);
    const lines = this.#troubles.of(others, ({ graph }) => graph, ({ graph }) => {
      const link = make("a");
      link.href = detailOf(graph);
      return { node: make("li", "", link), link };
    });
    lines.forEach(({ node, link }, index) => {
      say(link, others[index].text);
      mark(node, "class", others[index].verdict);
    });
    const nodes = lines.map(({ node }) => node);
    const more = untold(this.#judged);
    if (more) nodes.push(make("li", "more", more));
    place(at("troubles"), nodes);
  }

  #showCounts() {
    const { tunnels, ports } = this.#site;
    const [, tunnelsLink, portsLink] = at("views").children;
    const away = tunnels.filter((tunnel) => !established(tunnel)).length;
    const down = ports.filter((port) => port.link !== "up").length;
    for (const [link, number] of [[tunnelsLink, away], [portsLink, down]]) {
      const badge = link.querySelector(".badge");
      badge.hidden = number === 0;
      say(badge.firstElementChild, count(number));
    }
  }

  #route() {
    // A fragment that is no view is a place in this one.
    if (location.hash && !location.hash.startsWith("#/")) return;
    const path = location.hash.slice(1) || "/";
    const left = this.#detail;
    if (this.#view === "/" && !left) this.#scrolled = scrollY;
    left?.close();
    left?.node.remove();
    const graph = path.startsWith("/graph/") ? decoded(path.slice("/graph/".length)) : null;
    this.#detail = graph === null ? null : new Detail(graph);
    if (this.#detail) at("main").append(this.#detail.node);
    else this.#view = this.#views.has(path) ? path : "/";
    for (const [view, node] of this.#views) node.hidden = this.#detail !== null || view !== this.#view;
    for (const link of at("views").children) {
      const current = (this.#view ?? "/") === link.hash.slice(1);
      mark(link, "aria-current", current ? (this.#detail ? "true" : "page") : null);
    }
    this.#show();
    if (this.#view === "/events" && !this.#detail) this.#events.load();
    if (this.#detail) {
      scrollTo(0, 0);
      this.#detail.open();
    } else if (left) {
      this.#comeBack(left);
    }
  }

  /** To where somebody was before the detail. */
  #comeBack(detail) {
    scrollTo(0, this.#view === "/" ? this.#scrolled : 0);
    const from = [...this.#views.get(this.#view).querySelectorAll("a")].find((link) => link.getAttribute("href") === detailOf(detail.graph));
    (from ?? at("main")).focus({ preventScroll: true });
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === "Escape" && this.#detail && !typing) {
      location.hash = `#${this.#view ?? "/"}`;
    } else if (event.key === "/" && !typing && this.#view === "/" && !this.#detail) {
      event.preventDefault();
      this.#links.find();
    }
  }
}

/** What somebody typed as an address may be anything. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The system's theme, or the one that was chosen. */
function themeSwitch() {
  const root = document.documentElement;
  const themes = ["system", "light", "dark"];
  const show = () => say(at("theme"), `Theme: ${root.dataset.theme ?? "system"}`);
  at("theme").addEventListener("click", () => {
    const next = themes[(themes.indexOf(root.dataset.theme ?? "system") + 1) % themes.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      if (next === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", next);
    } catch {
      // It holds until the page is left.
    }
    show();
  });
  show();
}

/** A fault of this page is not to look like calm. */
function tellFaults() {
  const tell = (what) => {
    at("fault").hidden = false;
    say(at("fault"), `This page failed (${what}); do not trust it. Load it anew, or ask: hal2tp status.`);
  };
  addEventListener("error", (event) => event.message && tell(event.message));
  addEventListener("unhandledrejection", (event) => tell(String(event.reason)));
}

tellFaults();
themeSwitch();
new App().start();
