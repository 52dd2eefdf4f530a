// A table of many rows, of which a page is on view.

import { Kept, make, place, say } from "./dom.js";
import { Pager, findBox } from "./parts.js";

const ROWS = 50;

/**
 * Columns are `{ title, kind, cell }`: `cell(td)` makes a cell and returns what
 * brings it up to date with an item.
 */
export class Listing {
  #columns;
  #keyOf;
  #textOf;
  #items = [];
  #rows = new Kept();
  #body = make("tbody");
  #empty = make("p", "quiet empty");
  #pager = new Pager(ROWS, () => this.#show());
  #find;
  node;

  constructor({ caption, columns, keyOf, textOf, find, empty }) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    this.#textOf = textOf;
    this.#find = findBox(find, () => {
      this.#pager.first();
      this.#show();
    });
    this.#find.hidden = true;
    this.#empty.textContent = empty;
    const heads = columns.map(({ title, kind }) => head(title, kind));
    const table = rolled(make("table", "listing", make("caption", "heard", caption)), "table");
    table.append(rolled(make("thead", "", rolled(make("tr", "", ...heads), "row")), "rowgroup"), rolled(this.#body, "rowgroup"));
    this.node = make("div", "", this.#find, table, this.#empty, this.#pager.node);
  }

  update(items) {
    this.#items = items;
    // Whoever looks for something keeps the field.
    if (items.length > 10) this.#find.hidden = false;
    this.#show();
  }

  #show() {
    const wanted = this.#find.value.trim().toLowerCase();
    const found = wanted ? this.#items.filter((item) => this.#textOf(item).toLowerCase().includes(wanted)) : this.#items;
    const shown = this.#pager.cut([found]);
    const rows = this.#rows.of(shown, this.#keyOf, () => this.#row());
    rows.forEach((row, at) => row.update(shown[at]));
    place(this.#body, rows.map((row) => row.node));
    this.#empty.hidden = shown.length > 0;
    if (wanted) say(this.#empty, "Nothing like that is here.");
  }

  #row() {
    const node = rolled(make("tr"), "row");
    const updates = this.#columns.map(({ title, kind, cell }, at) => {
      const td = at === 0 ? rolled(make("th", kind), "rowheader") : rolled(make("td", kind), "cell");
      td.dataset.label = title;
      node.append(td);
      return cell(td);
    });
    return { node, update: (item) => updates.forEach((update) => update(item)) };
  }
}

/** A column's head. */
export function head(title, kind = "") {
  const th = rolled(make("th", kind, title), "columnheader");
  th.scope = "col";
  return th;
}

/** Tables that are laid out as something else on a phone would not be tables to a screen reader. */
export function rolled(node, role) {
  node.setAttribute("role", role);
  return node;
}

/** A cell with one text. */
export function text(textOf) {
  return (td) => (item) => say(td, textOf(item));
}

/** A cell with a text and a smaller one below it. */
export function twoTexts(textOf, smallOf) {
  return (td) => {
    const [large, small] = [make("span", "large"), make("span", "small")];
    td.append(large, small);
    return (item) => {
      say(large, textOf(item));
      say(small, smallOf(item));
    };
  };
}
