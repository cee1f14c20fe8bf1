// Who is signed in. The key lives as long as the tab, or in this browser where its owner asked for that.

const NAME = "offshoot.key";

function read(storage) {
  try {
    return storage().getItem(NAME);
  } catch {
    return null;
  }
}

function write(storage, value) {
  try {
    if (value === null) storage().removeItem(NAME);
    else storage().setItem(NAME, value);
  } catch {
    // Storage is switched off: the key lasts until the page is left.
  }
}

const tab = () => sessionStorage;
const browser = () => localStorage;

class Session extends EventTarget {
  key = read(tab) ?? read(browser);
  /** Why the last session ended: "expired", or nothing. */
  reason = null;

  begin(key, remember) {
    this.key = key;
    this.reason = null;
    write(tab, remember ? null : key);
    write(browser, remember ? key : null);
    this.dispatchEvent(new Event("change"));
  }

  end(reason = null) {
    this.key = null;
    this.reason = reason;
    write(tab, null);
    write(browser, null);
    this.dispatchEvent(new Event("change"));
  }
}

export const session = new Session();

// Signing out in one tab signs out those that share the remembered key.
addEventListener("storage", (event) => {
  if (event.key === NAME && event.oldValue === session.key && event.newValue === null) session.end();
});
