// All sets and their links, the worst set first; a page of them is on view, however many there are.

import { Kept, make, place, say } from "./dom.js";
import { Pager, findBox } from "./parts.js";
import { SetCard } from "./set.js";
import { known, rank } from "./verdict.js";
import { count } from "./words.js";

/** Links on a page. */
const ROWS = 50;
/** Up to so many links of a set stay in the order of the configuration. */
const FEW = 12;
/** While the pointer moves or a key was pressed just now, nothing changes its place. */
const HAND_MS = 3000;
/** Links among which one wants to search. */
const MANY = 8;
const VERDICTS = ["down", "bad", "degraded", "good"];

const LEGEND =
  "Loss, latency, skew, wins and off-line are of the last minute; in and out are now; saved and lost are since the start. " +
  "In the small graphs bars are loss, the line is latency, and grey is off-line.";

export class LinksView {
  #cards = new Kept();
  #order = new Map();
  #moved = -Infinity;
  #verdict = null;
  #news = null;
  #find = findBox("Find a link or set", () => this.#changed());
  #filters = make("div", "filters");
  #buttons = VERDICTS.map((verdict) => this.#button(verdict));
  #sets = make("div", "sets");
  #legend = make("p", "quiet legend", LEGEND);
  #empty = make("p", "quiet empty");
  #pager = new Pager(ROWS, () => {
    this.#changed(false);
    window.scrollTo(0, 0);
  });
  #tools = make("div", "tools", this.#find, this.#filters);
  node = make("section", "view", make("h2", "heard", "Sets and links"), this.#tools, this.#sets, this.#empty, this.#pager.node);

  constructor() {
    this.node.append(this.#legend);
    // Until there is news.
    this.#tools.hidden = this.#legend.hidden = true;
    this.#filters.append(...this.#buttons.map(({ node }) => node));
    this.#filters.setAttribute("role", "group");
    this.#filters.setAttribute("aria-label", "Only links that are");
    for (const kind of ["pointermove", "keydown", "touchstart"]) {
      this.#sets.addEventListener(kind, () => (this.#moved = performance.now()), { passive: true });
    }
  }

  find() {
    if (!this.#tools.hidden) this.#find.focus();
  }

  update(news) {
    this.#news = news;
    if (this.node.hidden) return;
    const { site, judged } = news;
    this.#tools.hidden = judged.links.all < MANY && !this.#verdict && this.#find.value === "";
    for (const button of this.#buttons) button.update(judged.links);
    const groups = this.#inOrder(groupsOf(site));
    const parts = partsOf(this.#pager.cut(groups.map((group) => this.#rowsOf(group))));
    const cards = this.#cards.of(parts, ({ group }) => group.key, () => new SetCard());
    cards.forEach((card, at) => {
      const { group, links } = parts[at];
      const hidden = group.found - links.length;
      card.update({ set: group.set, links, hidden, past: news.past });
    });
    place(this.#sets, cards.map((card) => card.node));
    this.#empty.hidden = parts.length > 0;
    this.#legend.hidden = parts.length === 0;
    const sought = this.#verdict || this.#find.value !== "";
    say(this.#empty, sought ? "No link is like that." : "No set and no link is configured, or none was there yet.");
  }

  #button(verdict) {
    const word = make("span");
    const node = make("button", `filter ${verdict}`, word);
    node.type = "button";
    node.addEventListener("click", () => {
      this.#verdict = this.#verdict === verdict ? null : verdict;
      this.#changed();
    });
    return {
      node,
      update: (links) => {
        say(word, `${count(links[verdict])} ${verdict}`);
        node.setAttribute("aria-pressed", String(this.#verdict === verdict));
        node.disabled = links[verdict] === 0 && this.#verdict !== verdict;
      },
    };
  }

  #changed(anew = true) {
    if (anew) this.#pager.first();
    this.#order.clear();
    if (this.#news) this.update(this.#news);
  }

  /** The worst first. */
  #inOrder(groups) {
    const kept = performance.now() - this.#moved < HAND_MS && this.#order.size > 0;
    const placeOf = (group) => this.#order.get(group.key) ?? groups.length;
    // Sorting is stable: sets that are alike stay in the order of the configuration.
    groups.sort(kept ? (one, other) => placeOf(one) - placeOf(other) : (one, other) => other.rank - one.rank);
    this.#order = new Map(groups.map((group, at) => [group.key, at]));
    return groups;
  }

  /** The links of a group that are looked for. A set without links has a row of its own. */
  #rowsOf(group) {
    const wanted = this.#find.value.trim().toLowerCase();
    let links = group.links;
    if (this.#verdict) links = links.filter((link) => known(link.verdict) === this.#verdict);
    if (wanted && !has(group.set, wanted)) links = links.filter((link) => hasLink(link, wanted));
    if (links.length > FEW) links = [...links].sort((one, other) => rank(other.verdict) - rank(one.verdict));
    group.found = links.length;
    if (links.length > 0) return links.map((link) => ({ group, link }));
    const alone = group.links.length === 0 && !this.#verdict && (!wanted || has(group.set, wanted));
    return alone ? [{ group, link: null }] : [];
  }
}

function groupsOf(site) {
  const groups = site.sets.map((set) => group(set.graph, set, set.links, rank(set.verdict)));
  if (site.links.length > 0) groups.push(group("", null, site.links, 0));
  return groups;
}

/** The worst of a set and its links. */
function group(key, set, links, least) {
  let worst = least * 2;
  for (const link of links) worst = Math.max(worst, rank(link.verdict) * 2 - 1);
  return { key, set, links, rank: worst, found: 0 };
}

/** Rows that follow each other and belong to one group. */
function partsOf(rows) {
  const parts = [];
  for (const { group, link } of rows) {
    if (parts.at(-1)?.group !== group) parts.push({ group, links: [] });
    if (link) parts.at(-1).links.push(link);
  }
  return parts;
}

function has(set, wanted) {
  return set !== null && `set ${set.name} ${set.remote} ${set.protection}`.toLowerCase().includes(wanted);
}

function hasLink(link, wanted) {
  return `${link.graph} ${link.tunnel} ${link.state} ${link.last_result ?? ""}`.toLowerCase().includes(wanted);
}
