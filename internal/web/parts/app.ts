// The script of every page: takes up what a link may have brought, then brings
// the islands of the page to life.

import { WatchIdentity } from "./identity";
import { takeFromAddress } from "./keyring";
import { WatchPasskey } from "./passkey";
import { WatchPlan } from "./plan";
import { WatchPlayer } from "./player";
import { WatchRefresh } from "./refresh";
import { WatchTile } from "./tile";
import { WatchTimeline } from "./timeline";

// First of all, so that a key stays in the address bar for no longer than it takes to read it.
takeFromAddress().catch(() => document.documentElement.setAttribute("data-key-refused", ""));

for (const [name, element] of [
  ["watch-identity", WatchIdentity],
  ["watch-passkey", WatchPasskey],
  ["watch-timeline", WatchTimeline],
  ["watch-tile", WatchTile],
  ["watch-player", WatchPlayer],
  ["watch-plan", WatchPlan],
  ["watch-refresh", WatchRefresh],
] as const) {
  if (!customElements.get(name)) customElements.define(name, element);
}
