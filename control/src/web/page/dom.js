// The document is only touched where something changed, and data only becomes text: names come from peers.

const SVG = "http://www.w3.org/2000/svg";

/** An element with classes and children; strings become text. */
export function make(tag, classes = "", ...children) {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  node.append(...children);
  return node;
}

/** An element of a drawing. */
export function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Makes `text` all that the node says. */
export function say(node, text) {
  if (node.said === text) return;
  node.said = text;
  node.textContent = text;
}

/** Sets an attribute; `null` removes it. */
export function mark(node, name, value) {
  const had = node.getAttribute(name);
  if (value === null) {
    if (had !== null) node.removeAttribute(name);
  } else if (had !== String(value)) {
    node.setAttribute(name, value);
  }
}

/** Makes `nodes` the children of `parent`, in this order; what is in place stays untouched. */
export function place(parent, nodes) {
  let next = parent.firstChild;
  for (const node of nodes) {
    if (node === next) {
      next = next.nextSibling;
    } else {
      parent.insertBefore(node, next);
    }
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

/** Nodes by key, kept from one look to the next as long as they are on view. */
export class Kept {
  #kept = new Map();

  /** One thing for each item: those there were, or new ones by `create`; others are forgotten. */
  of(items, keyOf, create) {
    const kept = new Map();
    const things = items.map((item) => {
      const key = keyOf(item);
      const thing = this.#kept.get(key) ?? create(item);
      kept.set(key, thing);
      return thing;
    });
    this.#kept = kept;
    return things;
  }
}
