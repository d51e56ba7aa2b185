// Search: boxes and blocks by name, path, op or formula.

const MOST_HITS = 12;

class Search {
  constructor(input, list, graph, jump) {
    Object.assign(this, { input, list, jump, hits: [], at: 0 });
    this.entries = entriesOf(graph);
    input.addEventListener("input", () => this.#find());
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("focus", () => this.#find());
    input.addEventListener("blur", () => this.#hide());
  }

  #find() {
    const query = this.input.value.trim().toLowerCase();
    // The start of a name first, then anywhere in it, then anywhere at all.
    const rank = ({ name, all }) => (name.startsWith(query) ? 0 : name.includes(query) ? 1 : all.includes(query) ? 2 : 3);
    const ranked = query ? this.entries.map((entry) => [rank(entry), entry]).filter(([order]) => order < 3) : [];
    this.hits = ranked.sort((a, b) => a[0] - b[0]).slice(0, MOST_HITS).map(([, entry]) => entry);
    this.total = ranked.length;
    this.at = 0;
    this.#list(query);
  }

  #list(query) {
    const items = this.hits.map((entry, i) => {
      const item = h("li", { id: `hit-${i}`, role: "option", "aria-selected": String(i === this.at) }, [
        h("b", {}, [entry.title]), h("span", {}, [entry.about]),
      ]);
      // Before the input loses its focus, which would hide the list.
      item.addEventListener("pointerdown", (event) => { event.preventDefault(); this.#choose(i); });
      return item;
    });
    const more = this.total - this.hits.length;
    if (query && !items.length) items.push(h("li", { class: "none" }, ["nothing found"]));
    if (more > 0) items.push(h("li", { class: "none" }, [`and ${more} more`]));
    this.list.replaceChildren(...items);
    this.list.hidden = !items.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.input.setAttribute("aria-activedescendant", this.hits.length ? `hit-${this.at}` : "");
  }

  #key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && this.hits.length) {
      event.preventDefault();
      this.at = (this.at + by + this.hits.length) % this.hits.length;
      this.#list(this.input.value);
    } else if (event.key === "Enter" && this.hits.length) this.#choose(this.at);
    else if (event.key === "Escape") this.input.blur();
  }

  #choose(i) {
    const { target } = this.hits[i];
    this.input.blur();
    this.jump(target);
  }

  #hide() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }
}

function entriesOf(graph) {
  const boxes = [...graph.boxes.values()].map((box) => {
    const title = box.name || box.text || KINDS[box.kind];
    const about = [KINDS[box.kind], box.path !== box.name ? box.path : "", box.shape].filter(Boolean).join(" · ");
    const all = [box.name, box.path, box.text, box.formula, box.place, box.kind].join("\n").toLowerCase();
    return { target: box.id, title, about, name: title.toLowerCase(), all };
  });
  const groups = [...graph.groups.values()].filter((group) => group.label).map((group) => ({
    target: `g${group.id}`, title: group.label, about: `block · ${insideWords(group)}`, name: group.label.toLowerCase(),
    all: `${group.label}\n${group.detail}`.toLowerCase(),
  }));
  return [...groups, ...boxes];
}
