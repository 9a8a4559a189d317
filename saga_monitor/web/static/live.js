// Keeps a page up to date. When the monitor says that something has changed, the page is asked for again and
// the regions that differ are exchanged: every word comes escaped from the server, none is made here.
(() => {
  "use strict";
  const MOST_OFTEN_MS = 1000;
  const AT_LEAST_MS = 10000; // silence and durations grow without any event
  const LOST_MS = 5000;
  const pause = document.getElementById("pause");
  const unreachable = document.getElementById("unreachable");
  let source = null;
  let paused = false;
  let timer = 0;
  let asked = 0;

  const page = async (address) => {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/login") location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  const selected = (region) => {
    const selection = getSelection();
    return selection && !selection.isCollapsed && selection.containsNode(region, true);
  };

  const exchange = (region, fresh) => {
    const active = region.contains(document.activeElement) ? document.activeElement : null;
    const opened = [...region.querySelectorAll("details[open]")].map((details) => details.id);
    const versions = new Map();
    for (const row of region.querySelectorAll("[data-key]")) versions.set(row.dataset.key, row.dataset.version);
    region.replaceChildren(...fresh.childNodes);
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    for (const row of region.querySelectorAll("[data-key]")) {
      row.classList.toggle("fresh", versions.get(row.dataset.key) !== row.dataset.version);
    }
    if (active) {
      const same = [...region.querySelectorAll(active.tagName)].find(
        (other) => (active.id ? other.id === active.id : other.getAttribute("href") === active.getAttribute("href")),
      );
      same?.focus({ preventScroll: true });
    }
  };

  const refresh = async () => {
    clearTimeout(timer);
    timer = 0;
    asked = performance.now();
    try {
      // A page that is dear to make names a lighter one, with the same regions.
      const now = await page(document.body.dataset.from ?? location.href);
      unreachable.hidden = true;
      for (const region of document.querySelectorAll("[data-region]")) {
        const fresh = now.querySelector(`[data-region="${region.dataset.region}"]`);
        if (fresh && fresh.innerHTML !== region.innerHTML && !selected(region)) exchange(region, fresh);
      }
    } catch {
      unreachable.hidden = false;
    }
    soon(AT_LEAST_MS);
  };

  const soon = (ms) => {
    if (paused || document.hidden) return;
    clearTimeout(timer);
    timer = setTimeout(refresh, ms);
  };

  const changed = () => soon(Math.max(0, asked + MOST_OFTEN_MS - performance.now()));

  const listen = () => {
    if (source || paused || document.hidden) return;
    source = new EventSource("/changes");
    source.addEventListener("changed", changed);
    source.addEventListener("error", () => {
      soon(MOST_OFTEN_MS);
      if (source?.readyState !== EventSource.CLOSED) return;
      source = null;
      setTimeout(listen, LOST_MS);
    });
  };

  const rest = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };

  // A hidden page lets go: a browser has few connections to one host, and many tabs would use them up.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) rest();
    else if (!paused) {
      listen();
      changed();
    }
  });

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    if (paused) rest();
    else {
      listen();
      refresh();
    }
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    const search = document.getElementById("q");
    if (event.key !== "/" || typing || !search || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  const raw = document.getElementById("raw");
  raw?.addEventListener("toggle", async () => {
    if (!raw.open || raw.dataset.asked) return;
    raw.dataset.asked = "yes";
    try {
      const part = (await page(raw.dataset.from)).querySelector('[data-part="raw"]');
      raw.replaceChildren(raw.querySelector("summary"), part);
    } catch {
      delete raw.dataset.asked;
    }
  });

  addEventListener("pagehide", rest);
  listen();
  soon(AT_LEAST_MS);
})();
