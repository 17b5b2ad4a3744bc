"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const held = (id) => JSON.parse(find(id).textContent);
  const make = (tag, kind, text) => {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const { columns, rows, states, pictures, printed } = held("table-data");
  const place = Object.fromEntries(columns.map((column, index) => [column.key, index]));
  const isNumber = { number: true, share: true, count: true };
  const PICTURE = "data:image/webp;base64,";
  let thumbnails = null;

  // How the table is looked at: nothing else is kept.
  const FIRST = { column: null, falling: false };
  const view = { text: "", state: "all", chosen: {}, sort: { ...FIRST }, page: 0, size: 50 };
  let shown = [];
  let opened = 0;
  let opener = null;

  const share = (value) => {
    if (value > 0.999 && value < 1) return "> 99.9 %";
    if (value < 0.001 && value > 0) return "< 0.1 %";
    return `${(100 * value).toFixed(1)} %`;
  };
  const written = (column, value) => {
    if (value === null || value === undefined || value === "") return "";
    if (column.kind === "share") return share(value);
    if (column.kind === "number") return Number(value.toPrecision(4)).toString();
    return String(value);
  };
  const inState = (row, state) => {
    if (state === "all") return true;
    return state === "flagged" ? row[place.flagged] === true : row[place.state] === state;
  };

  // Filtering and sorting.
  const texts = rows.map((row) => row.filter((cell) => typeof cell === "string").join("\n").toLowerCase());
  const order = (column, falling) => (a, b) => {
    const [x, y] = [rows[a][column], rows[b][column]];
    const [none, other] = [x === null || x === "", y === null || y === ""];
    if (none || other) return none - other || a - b; // what has no value stands last, either way
    const way = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
    return (falling ? -way : way) || a - b;
  };
  const choose = () => {
    const wanted = view.text.toLowerCase().split(/\s+/).filter(Boolean);
    shown = [];
    rows.forEach((row, index) => {
      const fits = inState(row, view.state)
        && Object.entries(view.chosen).every(([key, value]) => !value || row[place[key]] === value)
        && wanted.every((word) => texts[index].includes(word));
      if (fits) shown.push(index);
    });
    if (view.sort.column !== null) shown.sort(order(place[view.sort.column], view.sort.falling));
    view.page = 0;
    draw();
  };

  // The table.
  const picture = (index) => {
    thumbnails ??= held("thumbnails");
    return thumbnails[index] ? PICTURE + thumbnails[index] : null;
  };
  const filmCell = (index) => {
    const source = picture(index);
    if (!source) return make("span", "none");
    const image = make("img");
    image.src = source;
    image.alt = "";
    image.decoding = "async";
    return image;
  };
  const badges = (row) => {
    const group = document.createDocumentFragment();
    group.append(make("span", `badge ${row[place.state]}`, row[place.state]));
    if (row[place.flagged]) group.append(" ", make("span", "badge odd", "unlike training films"));
    if (row[place.reason]) group.append(" ", make("span", "reason", row[place.reason]));
    return group;
  };
  const shareCell = (cell, value) => {
    const bar = make("span", "share");
    bar.setAttribute("aria-hidden", "true");
    const filled = make("i");
    filled.style.width = `${100 * Math.min(1, Math.max(0, value))}%`;
    bar.append(filled);
    cell.append(bar);
  };
  const tableCell = (column, row, index) => {
    const cell = make("td");
    cell.dataset.title = column.title;
    if (column.key === "filename") {
      cell.className = "name";
      const button = make("button", "", row[place.filename]);
      button.type = "button";
      button.dataset.open = index;
      cell.append(button);
    } else if (column.key === "state") {
      cell.className = "state";
      cell.append(badges(row));
    } else {
      const value = row[place[column.key]];
      cell.className = isNumber[column.kind] ? "number" : column.key;
      if (column.key === "place") cell.classList.add("place");
      cell.textContent = written(column, value);
      if (cell.textContent === "") cell.classList.add("empty");
      else if (column.kind === "share") shareCell(cell, value);
    }
    return cell;
  };
  const inTable = columns.filter((column) => column.shown);
  const tableRow = (index) => {
    const line = make("tr");
    line.dataset.case = index;
    const film = make("td", "film");
    film.append(filmCell(index));
    line.append(film, ...inTable.map((column) => tableCell(column, rows[index], index)));
    return line;
  };
  const draw = (count = view.size) => {
    const pages = Math.max(1, Math.ceil(shown.length / view.size));
    const first = view.page * view.size;
    find("rows").replaceChildren(...shown.slice(first, first + count).map(tableRow));
    const all = rows.length.toLocaleString("en");
    find("count").textContent = `${shown.length.toLocaleString("en")} of ${all} cases`
      + (view.sort.column === null ? ", what most needs a look first" : "");
    find("page").textContent = `Page ${view.page + 1} of ${pages}`;
    find("back").disabled = view.page === 0;
    find("on").disabled = view.page >= pages - 1;
    find("pager").hidden = rows.length <= 25;
    for (const head of find("heads").children) {
      if (head.dataset.key === view.sort.column && view.sort.column !== null) {
        head.setAttribute("aria-sort", view.sort.falling ? "descending" : "ascending");
      } else head.removeAttribute("aria-sort");
    }
  };
  const turn = (by) => {
    view.page += by;
    draw();
    find("cases-title").scrollIntoView();
  };

  // Controls.
  const sortBy = (key) => {
    const again = view.sort.column === key;
    const kind = columns[place[key]].kind;
    view.sort = { column: key, falling: again ? !view.sort.falling : kind === "share" };
    find("sort").value = key;
    choose();
  };
  const buildHeads = () => {
    const film = make("th", "", pictures ? "Film and what was seen" : "Film");
    film.scope = "col";
    find("heads").append(film);
    find("sort").append(new Option("what needs a look", ""));
    for (const column of inTable) {
      const head = make("th", isNumber[column.kind] ? "number" : "");
      head.scope = "col";
      head.dataset.key = column.key;
      const button = make("button", "", column.title);
      button.type = "button";
      button.addEventListener("click", () => sortBy(column.key));
      head.append(button);
      find("heads").append(head);
      find("sort").append(new Option(column.title, column.key));
    }
  };
  const pressState = () => {
    for (const button of find("states").children) {
      button.setAttribute("aria-pressed", String(button.dataset.state === view.state));
    }
  };
  const buildStates = () => {
    for (const [state, title] of states) {
      const count = rows.filter((row) => inState(row, state)).length;
      const button = make("button", "", `${title} ${count.toLocaleString("en")}`);
      button.type = "button";
      button.dataset.state = state;
      button.addEventListener("click", () => {
        view.state = state;
        pressState();
        choose();
      });
      find("states").append(button);
    }
    pressState();
  };
  const buildChoices = () => {
    for (const column of columns.filter((each) => each.kind === "label")) {
      const values = [...new Set(rows.map((row) => row[place[column.key]]))].filter(Boolean).sort();
      if (values.length < 2) continue;
      const select = make("select");
      select.dataset.key = column.key;
      select.append(new Option("any", ""), ...values.map((value) => new Option(value, value)));
      select.addEventListener("change", () => {
        view.chosen[column.key] = select.value;
        choose();
      });
      const label = make("label", "", column.title);
      label.append(select);
      find("choices").append(label);
    }
  };
  const listen = () => {
    find("find").addEventListener("input", (event) => {
      view.text = event.target.value;
      choose();
    });
    find("sort").addEventListener("change", (event) => {
      if (event.target.value) sortBy(event.target.value);
      else {
        view.sort = { ...FIRST };
        choose();
      }
    });
    find("size").addEventListener("change", (event) => {
      view.size = Number(event.target.value);
      view.page = 0;
      draw();
    });
    find("controls").addEventListener("submit", (event) => event.preventDefault());
    find("controls").addEventListener("reset", () => {
      Object.assign(view, { text: "", state: "all", chosen: {}, sort: { ...FIRST } });
      pressState();
      choose();
    });
    find("back").addEventListener("click", () => turn(-1));
    find("on").addEventListener("click", () => turn(1));
    find("rows").addEventListener("click", (event) => {
      const line = event.target.closest("tr");
      if (line && !String(window.getSelection())) open(Number(line.dataset.case));
    });
  };

  // One case.
  const dialog = find("case");
  const largest = (index) => {
    const kept = find(`picture-${index}`);
    return kept ? PICTURE + kept.textContent : null;
  };
  const fillPicture = (index) => {
    const image = find("case-picture");
    const large = largest(index);
    const source = large ?? picture(index);
    image.parentElement.hidden = !source;
    if (!source) return;
    image.src = source;
    image.className = large ? "large" : "small";
    image.alt = large ? pictures : "The film, small";
    find("case-caption").textContent = large ? pictures : "Only a small picture of this film is held here.";
  };
  const fill = () => {
    const index = shown[opened];
    const row = rows[index];
    find("case-title").textContent = row[place.filename];
    find("case-state").replaceChildren(badges(row));
    find("case-place").textContent = `${opened + 1} of ${shown.length}`;
    find("case-back").disabled = opened === 0;
    find("case-on").disabled = opened >= shown.length - 1;
    fillPicture(index);
    const values = columns
      .filter((column) => !["filename", "state", "flagged"].includes(column.key))
      .map((column) => [column.title, written(column, row[place[column.key]])])
      .filter(([, value]) => value !== "")
      .flatMap(([title, value]) => [make("dt", "", title), make("dd", "", value)]);
    find("case-values").replaceChildren(...values);
  };
  const open = (index) => {
    opened = shown.indexOf(index);
    opener = index;
    fill();
    dialog.showModal();
    find("case-title").focus();
  };
  const step = (by) => {
    if (opened + by < 0 || opened + by >= shown.length) return;
    opened += by;
    opener = shown[opened];
    fill();
  };
  find("case-back").addEventListener("click", () => step(-1));
  find("case-on").addEventListener("click", () => step(1));
  find("case-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    const page = Math.floor(opened / view.size);
    if (page !== view.page) {
      view.page = page;
      draw();
    }
    document.querySelector(`[data-open="${opener}"]`)?.focus();
  });

  // On paper: what was folded is open, and more rows than on a page of the screen.
  window.addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details")) each.open = true;
    view.page = 0;
    draw(printed);
  });
  window.addEventListener("afterprint", () => draw());

  buildHeads();
  buildStates();
  buildChoices();
  listen();
  find("controls").hidden = false;
  choose();
  document.documentElement.dataset.ready = "true";
})();
