// Keeps the page current without reloading it. Everything here is an improvement: the page is complete
// without it. No library, and nothing that the content security policy would have to allow for it.
"use strict";

(() => {
  /** How long to wait after a failure, and for an answer, in milliseconds. */
  const RETRY = 1000;
  const TIMEOUT = 10000;
  /** Pause in typing after which the search is sent, in milliseconds. */
  const TYPING = 150;

  const alarm = document.getElementById("contact");
  const found = document.getElementById("found");
  const field = document.querySelector("input[name=q]");
  const main = document.querySelector("main");
  const period = () => 1000 * Number(main.dataset.refresh);

  const plain = document.querySelector("h1").textContent;
  let title = document.title;
  /** When the exporter last answered, on this machine's clock. */
  let contact = Date.now();
  let failures = 0;
  let why = "";
  let timer = 0;
  let flight = null;

  function localize(root) {
    const today = new Date().toDateString();
    for (const time of root.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
      if ("seconds" in time.dataset) clock.second = "2-digit";
      if (at.toDateString() !== today) Object.assign(clock, { day: "numeric", month: "short" });
      time.textContent = at.toLocaleString("en-GB", clock);
      time.title = at.toString();
    }
  }

  const keyOf = (node) => (node.dataset ? node.dataset.key : undefined);
  const alike = (one, other) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

  function morph(old, wanted) {
    for (const { name } of [...old.attributes]) {
      if (!wanted.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of wanted.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const keyed = new Map();
    for (const child of old.children) if (keyOf(child) !== undefined) keyed.set(keyOf(child), child);
    let next = old.firstChild;
    for (const child of [...wanted.childNodes]) {
      const key = keyOf(child);
      const same = key === undefined ? next : keyed.get(key);
      if (!same || !alike(same, child)) {
        old.insertBefore(child, next);
        continue;
      }
      if (same === next) next = next.nextSibling;
      else old.insertBefore(same, next);
      if (same.nodeType === Node.ELEMENT_NODE) morph(same, child);
      else if (same.nodeValue !== child.nodeValue) same.nodeValue = child.nodeValue;
    }
    while (next) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
  }

  function swap(fresh) {
    localize(fresh);
    const focused = document.activeElement;
    morph(main, fresh.querySelector("main"));
    // Moving an element takes its focus away.
    if (focused && focused !== document.activeElement && focused.isConnected) {
      focused.focus({ preventScroll: true });
    }
    const count = fresh.getElementById("found").textContent;
    if (found.textContent !== count) found.textContent = count;
    title = fresh.title;
  }

  async function load() {
    clearTimeout(timer);
    if (flight) flight.abort();
    flight = null;
    if (document.hidden) return;
    const mine = new AbortController();
    flight = mine;
    const timeout = setTimeout(() => mine.abort(), TIMEOUT);
    let wait = period();
    try {
      // Without a name and password in the address, which fetch would refuse.
      const address = location.origin + location.pathname + location.search;
      const answer = await fetch(address, { cache: "no-store", signal: mine.signal });
      const text = await answer.text();
      if (flight !== mine) return;
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      const fresh = new DOMParser().parseFromString(text, "text/html");
      if (!fresh.querySelector("main[data-refresh]")) throw new Error("something else answers");
      if (fresh.documentElement.dataset.build !== document.documentElement.dataset.build) {
        location.reload();
        return;
      }
      swap(fresh);
      contact = Date.now();
      failures = 0;
    } catch (error) {
      // A later request has replaced this one.
      if (flight !== mine) return;
      failures += 1;
      why = error instanceof TypeError || error.name === "AbortError" ? "" : `: ${error.message}`;
      wait = Math.min(RETRY * failures, wait);
    } finally {
      clearTimeout(timeout);
    }
    showContact();
    timer = setTimeout(load, wait);
  }

  function age(seconds) {
    if (seconds < 120) return `${seconds} s`;
    if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
    return `${Math.floor(seconds / 3600)} h`;
  }

  function showContact() {
    const silent = Date.now() - contact;
    const old = silent > 2 * period() + 3000;
    const lost = failures > 1 || (old && failures > 0);
    document.documentElement.classList.toggle("old", old || lost);
    // The title of a hidden tab is seen, too, and a hidden tab does not ask.
    const current = old || document.hidden ? plain : title;
    document.title = lost ? `No contact · ${plain}` : current;
    if (lost && alarm.hidden) {
      const at = new Date(contact).toLocaleTimeString("en-GB");
      const words = document.createElement("strong");
      words.textContent = `No contact with the exporter since ${at}`;
      // What counts on every second is not for screen readers.
      const running = document.createElement("span");
      running.setAttribute("aria-hidden", "true");
      alarm.replaceChildren(words, running, ". What you see below is from then.");
    }
    alarm.hidden = !lost;
    if (lost) alarm.querySelector("span").textContent = ` · ${age(Math.floor(silent / 1000))}${why}`;
  }

  let typing = 0;

  function search() {
    clearTimeout(typing);
    const text = field.value.trim();
    history.replaceState(null, "", text ? `./?q=${encodeURIComponent(text)}` : "./");
    load();
  }

  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, TYPING);
  });
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });

  document.addEventListener("visibilitychange", () => {
    showContact();
    load();
  });
  // A page that comes back from the browser's cache is as old as it was.
  addEventListener("pageshow", (event) => {
    if (event.persisted) load();
  });
  setInterval(showContact, 1000);
  localize(document);
  timer = setTimeout(load, period());
})();
