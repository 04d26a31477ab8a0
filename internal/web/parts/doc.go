// Package parts is the browser's side of the pages: custom elements in
// TypeScript with their styles, and the worker that opens recordings.
//
// There is no Go in it but its tests. Begin with app.ts, which brings the
// elements of a page to life:
//
//	<watch-tile camera="gate" stream="sub" name="Gate" href="/cameras/gate">
//	<watch-player camera="gate" name="Gate">      live, timeline and playback
//	<watch-timeline camera="gate" stream="main">  alone; tells "seek" events
//	<watch-identity mode="unlock">                file, paste, passphrase, passkey
//	<watch-identity mode="setup">                 in a form; fills input "recipient"
//	<watch-identity mode="button">                lock and unlock, for a page's head
//	<watch-plan editable><svg>…                   devices of a floor plan, moved and turned
//	<watch-refresh id="scan" live>…                a part that follows the server
//
// api.ts is the only door to the server. A reader's identity lives in the
// worker (worker.ts, vault.ts) and is never sent anywhere; age.ts opens any
// 64 KiB of a sealed segment alone; segment.ts knows where its keyframes are;
// playback.ts lays segments end to end on a clock.
//
// # Building
//
// The built files in assets/dist are committed, and a test builds them anew,
// byte for byte. Whoever changes a file here runs, with npm at hand:
//
//	cd internal/web && npm ci && npm run check && go generate ./parts
//
// # What it asks of the page
//
// A content-security policy with "script-src 'self'; style-src 'self';
// worker-src 'self'; connect-src 'self'; media-src blob:" suffices. The page's
// lang attribute picks the language, its color-scheme the colours.
package parts

//go:generate go -C ../../../tools run ./bundle
