// One set, and its links one below the other so that their figures can be compared.

import { Kept, make, mark, place, say } from "./dom.js";
import { head, rolled, twoTexts } from "./listing.js";
import { Chip, detailOf } from "./parts.js";
import { Spark, scaleOf } from "./spark.js";
import { isUp, known, nameOfSet, reasonsOf } from "./verdict.js";
import { NONE, THIN, count, percent, scaled, span, spread, time } from "./words.js";

/** The least that a bar is drawn to the scale of. */
const LOSS_SCALE = 0.05;
const LATENCY_SCALE_US = 20_000;

/** What a cell shows: a link as it is now, what is known of its last minutes, and the scale of its neighbours. */
const COLUMNS = [
  { title: "Link", kind: "link", cell: nameCell },
  { title: "Verdict", kind: "verdict", cell: verdictCell },
  { title: "Loss", kind: "number share", cell: barCell(lossOf, (link) => percent(lossOf(link)), lostOf, "loss") },
  { title: "Latency", kind: "number share", cell: barCell(latencyOf, (link) => time(latencyOf(link)), latencySpread, "latency") },
  { title: "Skew", kind: "number", cell: twoTexts(({ link }) => time(link.minute?.skew_us?.mean), skewSpread) },
  { title: "Wins", kind: "number", cell: twoTexts(({ link }) => percent(link.minute?.win_ratio), soleOf) },
  { title: "In", kind: "number rate", cell: rateCell("received") },
  { title: "Out", kind: "number rate", cell: rateCell("sent") },
  { title: "Off-line", kind: "number", cell: twoTexts(({ link }) => span(link.minute?.offline_s), () => "") },
  { title: "Last 2 min", kind: "past", cell: pastCell },
];

/** What the heads mean, for whoever points at them. */
const HINTS = {
  Loss: "Copies that did not arrive, of those settled in the last minute",
  Latency: "Round trip of LCP echoes in the last minute: mean, and from the least to the most",
  Skew: "How far this link's copies were behind the first ones, in the last minute",
  Wins: "Share of the packets that came first over this link, in the last minute",
  In: "Received now",
  Out: "Sent now",
  "Off-line": "Seconds of the last minute",
  "Last 2 min": "Bars: loss. Line: latency. Grey: off-line",
};

export class SetCard {
  #name = make("a", "name");
  #remote = make("span", "quiet");
  #chip = new Chip();
  #protection = make("span", "protection");
  #rates = make("span", "rates quiet");
  #saved = new Total("saved");
  #lost = new Total("lost");
  #why = make("p", "why");
  #body = make("tbody");
  #rows = new Kept();
  #caption = make("caption", "heard");
  #more = make("p", "quiet more");
  #totals = make("p", "totals", this.#saved.node, this.#lost.node);
  node;

  constructor() {
    const heads = COLUMNS.map(({ title, kind }) => {
      const th = head(title, kind);
      if (HINTS[title]) th.title = HINTS[title];
      return th;
    });
    const table = rolled(make("table", "links", this.#caption), "table");
    table.append(rolled(make("thead", "", rolled(make("tr", "", ...heads), "row")), "rowgroup"), rolled(this.#body, "rowgroup"));
    table.addEventListener("click", follow);
    const title = make("h2", "", this.#name);
    const line = make("div", "line", title, this.#remote, this.#chip.node, this.#protection, this.#rates, this.#totals);
    this.node = make("section", "set", line, this.#why, table, this.#more);
  }

  /** `set` is absent for links that belong to none; `links` are those on view; `current` is the graph whose detail it is. */
  update({ set, links, hidden, past, current }) {
    this.#title(set, past);
    const shared = scaleFor(links, past);
    const rows = this.#rows.of(links, (link) => link.graph, newRow);
    rows.forEach((row, at) => row.update({ link: links[at], past, shared, current }));
    place(this.#body, rows.map((row) => row.node));
    say(this.#more, hidden > 0 ? `${count(hidden)} more of its links are not on this page.` : "");
    this.#more.hidden = !(hidden > 0);
  }

  #title(set, past) {
    const verdict = known(set?.verdict ?? "good");
    mark(this.node, "class", `set ${set ? verdict : "none"}`);
    say(this.#name, set ? `Set ${set.name}` : "Links of no set");
    mark(this.#name, "href", set ? detailOf(set.graph) : null);
    say(this.#remote, set ? `with ${set.remote}` : "");
    say(this.#caption, set ? `Links of ${nameOfSet(set)}` : "Links of no set");
    this.#chip.node.hidden = this.#totals.hidden = !set;
    if (!set) return;
    this.#chip.update(set.verdict);
    say(this.#protection, set.protection === "ha" ? "protected" : set.protection === "down" ? "" : set.protection);
    say(this.#rates, `in ${scaled(set.rates?.received_bit_s, "bit/s")}, out ${scaled(set.rates?.sent_bit_s, "bit/s")}`);
    this.#saved.update(set.saved_packets, past.grown(set.graph, "saved"));
    this.#lost.update(set.lost_packets, past.grown(set.graph, "lost"));
    say(this.#why, reasonsOf(set).filter((reason) => reason !== set.protection).join("; "));
    this.#why.hidden = this.#why.said === "";
  }
}

/** A counter of a set, and how much it grew. */
class Total {
  #number = make("b");
  #grown = make("span", "grown");
  node;

  constructor(word) {
    this.node = make("span", `total ${word}`, `${word} `, this.#number, this.#grown);
  }

  update(total, grown) {
    say(this.#number, count(total));
    say(this.#grown, grown > 0 ? ` +${count(grown)} in 1${THIN}min` : "");
    mark(this.node, "data-grown", grown > 0 ? "" : null);
  }
}

function newRow() {
  const node = rolled(make("tr"), "row");
  const updates = COLUMNS.map(({ title, kind, cell }, at) => {
    const td = at === 0 ? rolled(make("th", kind), "rowheader") : rolled(make("td", kind), "cell");
    if (at === 0) td.scope = "row";
    td.dataset.label = title;
    node.append(td);
    return cell(td);
  });
  return {
    node,
    update(item) {
      const { link, current } = item;
      mark(node, "class", known(link.verdict));
      mark(node, "aria-current", link.graph === current ? "true" : null);
      for (const update of updates) update(item);
    },
  };
}

/** A click anywhere in a row is one on its link; selecting a text is no click. */
function follow(event) {
  if (event.target.closest("a") || String(getSelection())) return;
  event.target.closest("tbody tr")?.querySelector("a")?.click();
}

function scaleFor(links, past) {
  const shared = scaleOf(links.map((link) => past.of(link.graph)));
  const most = (valueOf, least) => links.reduce((most, link) => Math.max(most, valueOf(link) || 0), least);
  return { spark: shared, loss: most(lossOf, LOSS_SCALE), latency: most(latencyOf, LATENCY_SCALE_US) };
}

function nameCell(td) {
  const name = make("a", "name");
  const tunnel = make("span", "small");
  const why = make("span", "why");
  td.append(name, tunnel, why);
  return ({ link }) => {
    say(name, link.graph);
    mark(name, "href", detailOf(link.graph));
    say(tunnel, link.tunnel === link.graph ? "" : `tunnel ${link.tunnel}`);
    say(why, reasonsOf(link).join("; "));
  };
}

function verdictCell(td) {
  const chip = new Chip();
  const state = make("span", "small");
  td.append(chip.node, state);
  return ({ link }) => {
    chip.update(link.verdict);
    const drill = link.masked_for_s === undefined ? null : `masked, ${span(link.masked_for_s)} left`;
    say(state, drill ?? (isUp(link) ? `${link.state} ${span(link.up_s)}` : link.state));
  };
}

function barCell(valueOf, textOf, smallOf, scale) {
  return (td) => {
    const update = twoTexts(({ link }) => textOf(link), ({ link }) => smallOf(link))(td);
    let drawn = "";
    return (item) => {
      update(item);
      const share = Math.min(1, (valueOf(item.link) || 0) / item.shared[scale]);
      const width = `${(share * 100).toFixed(0)}%`;
      if (width !== drawn) td.style.setProperty("--bar", width);
      drawn = width;
    };
  };
}

function rateCell(way) {
  return twoTexts(
    ({ link }) => scaled(link.rates?.[`${way}_bit_s`], "bit/s"),
    ({ link }) => scaled(link.rates?.[`${way}_packet_s`], "pkt/s"),
  );
}

function pastCell(td) {
  const spark = new Spark();
  td.append(spark.node);
  return ({ link, past, shared }) => spark.update(past.of(link.graph), shared.spark);
}

function lossOf(link) {
  return link.minute?.loss_ratio;
}

function lostOf(link) {
  const { minute } = link;
  if (!minute) return "";
  const echoes = minute.echoes_lost > 0 ? `\n${count(minute.echoes_lost)}/${count(minute.echoes_sent)} echoes` : "";
  return `${count(minute.lost_packets)} lost${echoes}`;
}

function latencyOf(link) {
  return link.minute?.latency_us?.mean;
}

function latencySpread(link) {
  const latency = link.minute?.latency_us;
  return latency ? spread(latency.least, latency.most) : NONE;
}

function skewSpread({ link }) {
  const skew = link.minute?.skew_us;
  return skew ? `to ${time(skew.most)}` : NONE;
}

function soleOf({ link }) {
  return link.sole_packets > 0 ? `${count(link.sole_packets)} alone` : "";
}
