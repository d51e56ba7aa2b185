// The data of the page, and what of it is visible while some groups are closed.

const ROOT = 0;

const BOX = {
  name: null, path: "", shape: "", dtype: "", text: "", formula: "", rules: [], details: [], value: null, grad: null,
  saved: [], place: "", code: "", seconds: null, back_seconds: null, bad: false, first: true, tainted: false, size: 0, nbytes: 0,
  uses: 1, same: null, group: ROOT, backward: false,
};
const ARROW = { shape: "", dtype: "", role: "", part: "", rms: null, total: false, count: 1, needs_grad: true };
const GROUP = { label: "", detail: "", count: 1, ops: 0, parameters: 0, closed: false };

const isLeaf = (node) => node.kind === "parameter" || node.kind === "data";

class Graph {
  constructor(data) {
    this.title = data.title;
    this.subtitle = data.subtitle;
    this.boxes = new Map(data.boxes.map((box) => [box.id, { ...BOX, ...box }]));
    this.arrows = data.arrows.map((arrow) => ({ ...ARROW, ...arrow }));
    this.groups = new Map(data.groups.filter((group) => group.id !== ROOT).map((group) => [group.id, { ...GROUP, ...group }]));
    this.closed = new Set([...this.groups.values()].filter((group) => group.closed).map((group) => group.id));
    this.dtype = this.#usualDtype();
    this.hasGradients = this.arrows.some((arrow) => arrow.rms !== null)
      || [...this.boxes.values()].some((box) => box.grad !== null);
    this.#summariseGroups();
  }

  /** The groups around a group, from the innermost to the outermost, without the picture itself. */
  around(id) {
    const found = [];
    for (let group = this.groups.get(id); group; group = this.groups.get(group.parent)) found.push(group.id);
    return found;
  }

  /** Nodes and edges as they are drawn: a closed group is one node, and its arrows are merged. */
  visible() {
    const outermost = this.#outermostClosed();
    const nodes = new Map();
    const nodeOf = new Map();
    for (const box of this.boxes.values()) {
      const closed = outermost(box.group);
      const key = closed === null ? `b${box.id}` : `g${closed}`;
      if (!nodes.has(key)) nodes.set(key, closed === null ? boxNode(key, box) : groupNode(key, this.groups.get(closed)));
      nodes.get(key).last = box.id;
      nodeOf.set(box.id, nodes.get(key));
    }
    return { nodes: [...nodes.values()], edges: this.#edges(nodeOf), nodeOf };
  }

  /** Every box of this pass that has `same` in common with this one, itself included: the uses of one leaf. */
  usesOf(box) {
    const first = box.same ?? box.id;
    return [...this.boxes.values()].filter((other) => (other.same ?? other.id) === first && other.backward === box.backward);
  }

  #edges(nodeOf) {
    const edges = new Map();
    this.arrows.forEach((arrow, i) => {
      const [source, target] = [nodeOf.get(arrow.source), nodeOf.get(arrow.target)];
      if (source === target) return;
      // Two arrows between the same two boxes are two inputs; into or out of a folded box they are one bundle.
      const folded = source.group || target.group;
      const key = folded ? `${source.key}>${target.key}` : `a${i}`;
      if (!edges.has(key)) edges.set(key, { key, source, target, arrows: [] });
      edges.get(key).arrows.push(arrow);
    });
    return [...edges.values()].map(merged);
  }

  #outermostClosed() {
    const known = new Map([[ROOT, null]]);
    const find = (id) => {
      if (!known.has(id)) {
        const parent = this.groups.get(id)?.parent ?? ROOT;
        known.set(id, find(parent) ?? (this.closed.has(id) ? id : null));
      }
      return known.get(id);
    };
    return find;
  }

  #usualDtype() {
    const counts = new Map();
    for (const { dtype } of this.arrows) counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? "float64";
  }

  #summariseGroups() {
    const empty = { bad: false, first: true, tainted: false, backward: false, seconds: null, backSeconds: null, members: 0 };
    for (const group of this.groups.values()) Object.assign(group, empty);
    for (const box of this.boxes.values()) {
      for (const id of this.around(box.group)) {
        const group = this.groups.get(id);
        group.bad ||= box.bad;
        group.first &&= box.first;
        group.tainted ||= box.tainted;
        group.backward ||= box.backward;
        group.members += 1;
        if (box.seconds !== null) group.seconds += box.seconds;
        if (box.back_seconds !== null) group.backSeconds += box.back_seconds;
      }
    }
  }
}

function boxNode(key, box) {
  return {
    key, kind: box.kind, box, group: null, parent: box.group, last: box.id, first: box.id,
    bad: box.bad, tainted: box.tainted, backward: box.backward, step: !isLeaf(box),
  };
}

function groupNode(key, group) {
  return {
    key, kind: "folded", box: null, group, parent: group.parent, last: 0, first: 0,
    bad: group.bad, tainted: group.tainted && !group.bad, backward: group.backward, step: true,
  };
}

/** One edge for all arrows between two nodes.  A gradient is told only if it is one number for all of them. */
function merged(edge) {
  const { arrows } = edge;
  const [first] = arrows;
  const all = (field) => (arrows.every((arrow) => arrow[field] === first[field]) ? first[field] : "");
  const oneSource = arrows.every((arrow) => arrow.source === first.source && arrow.total && arrow.rms === first.rms);
  const several = arrows.length > 1;
  return {
    ...edge, shape: all("shape"), dtype: all("dtype"), part: all("part"), role: several ? "" : first.role,
    rms: !several || oneSource ? first.rms : null, total: first.total,
    count: arrows.reduce((sum, arrow) => sum + arrow.count, 0),
    needsGrad: arrows.some((arrow) => arrow.needs_grad), cross: edge.source.backward !== edge.target.backward,
  };
}
