package estate

// schema is the room's, in order; a statement once released never changes.
var schema = []string{
	`CREATE TABLE estate_sites (
		id      TEXT PRIMARY KEY,
		name    TEXT NOT NULL,
		created BIGINT NOT NULL
	)`,
	// Removed cameras keep their row: their ID names folders of the archive.
	`CREATE TABLE estate_cameras (
		id           TEXT PRIMARY KEY,
		site         TEXT NOT NULL REFERENCES estate_sites (id),
		name         TEXT NOT NULL,
		enabled      BIGINT NOT NULL,
		username     TEXT NOT NULL,
		password     BLOB,
		transport    TEXT NOT NULL,
		record_audio BIGINT NOT NULL,
		max_age      BIGINT NOT NULL,
		max_bytes    BIGINT NOT NULL,
		created      BIGINT NOT NULL,
		updated      BIGINT NOT NULL,
		removed      BIGINT NOT NULL DEFAULT 0
	)`,
	`CREATE TABLE estate_streams (
		camera TEXT NOT NULL REFERENCES estate_cameras (id),
		name   TEXT NOT NULL,
		url    TEXT NOT NULL,
		record BIGINT NOT NULL,
		PRIMARY KEY (camera, name)
	)`,
	`CREATE TABLE estate_readers (
		site      TEXT NOT NULL REFERENCES estate_sites (id),
		recipient TEXT NOT NULL,
		name      TEXT NOT NULL,
		added     BIGINT NOT NULL,
		PRIMARY KEY (site, recipient)
	)`,
	`CREATE TABLE estate_settings (
		name  TEXT PRIMARY KEY,
		value TEXT NOT NULL
	)`,

	// path is the IDs from the root to here, "dept/agency".
	`CREATE TABLE estate_organisations (
		id      TEXT PRIMARY KEY,
		name    TEXT NOT NULL,
		body    TEXT NOT NULL,
		parent  TEXT NOT NULL,
		path    TEXT NOT NULL,
		sector  TEXT NOT NULL,
		region  TEXT NOT NULL,
		created BIGINT NOT NULL
	)`,
	`ALTER TABLE estate_sites ADD COLUMN organisation TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE estate_sites ADD COLUMN class TEXT NOT NULL DEFAULT 'undetermined'`,
	`ALTER TABLE estate_sites ADD COLUMN class_reason TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE estate_sites ADD COLUMN classed_by TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE estate_sites ADD COLUMN classed_at BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE estate_sites ADD COLUMN address TEXT NOT NULL DEFAULT ''`,
	// The sites of an estate from before organisations belong to one of which
	// nothing is known but that it is there.
	`INSERT INTO estate_organisations (id, name, body, parent, path, sector, region, created)
		SELECT 'default', 'Default', '', '', 'default', '', '', min(created) FROM estate_sites HAVING count(*) > 0`,
	`UPDATE estate_sites SET organisation = 'default'`,

	// place is where the device hangs, from the root of the organisations:
	// "dept/agency/:site". Lists are in its order, so that any part of the tree
	// is one range of every index. sorted is the name in small letters.
	`CREATE TABLE estate_devices (
		id             TEXT PRIMARY KEY,
		place          TEXT NOT NULL,
		site           TEXT NOT NULL,
		name           TEXT NOT NULL,
		sorted         TEXT NOT NULL,
		kind           TEXT NOT NULL,
		camera         TEXT NOT NULL,
		state          TEXT NOT NULL,
		addresses      TEXT NOT NULL,
		macs           TEXT NOT NULL,
		serial         TEXT NOT NULL,
		cert_sha256    TEXT NOT NULL,
		hostname       TEXT NOT NULL,
		brand          TEXT NOT NULL,
		maker          TEXT NOT NULL,
		confidence     TEXT NOT NULL,
		identification TEXT NOT NULL,
		network        TEXT NOT NULL,
		exposure       TEXT NOT NULL,
		purpose        TEXT NOT NULL,
		tag            TEXT NOT NULL,
		cost           BIGINT NOT NULL,
		currency       TEXT NOT NULL,
		first_seen     BIGINT NOT NULL,
		last_seen      BIGINT NOT NULL,
		deployed       BIGINT NOT NULL,
		adopted        BIGINT NOT NULL,
		removed        BIGINT NOT NULL,
		why_removed    TEXT NOT NULL,
		last_scan      TEXT NOT NULL
	)`,
	// One index for each way to filter a list; each holds all that a filter can
	// ask, so that rows are read only for the page that is shown.
	`CREATE INDEX estate_devices_place ON estate_devices (place, sorted, id, state, maker, confidence, kind)`,
	`CREATE INDEX estate_devices_state ON estate_devices (state, place, sorted, id, maker, confidence, kind)`,
	`CREATE INDEX estate_devices_maker ON estate_devices (maker, place, sorted, id, state, confidence, kind)`,
	`CREATE INDEX estate_devices_confidence ON estate_devices (confidence, place, sorted, id, state, maker, kind)`,
	`CREATE INDEX estate_devices_site ON estate_devices (site)`,
	`CREATE UNIQUE INDEX estate_devices_camera ON estate_devices (camera) WHERE camera <> ''`,
	// By what a device is known again: mac, serial, certificate, address.
	`CREATE TABLE estate_keys (
		kind   TEXT NOT NULL,
		value  TEXT NOT NULL,
		device TEXT NOT NULL REFERENCES estate_devices (id),
		PRIMARY KEY (kind, value, device)
	)`,
	`CREATE INDEX estate_keys_device ON estate_keys (device)`,
	// The words by which a person looks for a device, in small letters.
	`CREATE TABLE estate_words (
		word   TEXT NOT NULL,
		device TEXT NOT NULL REFERENCES estate_devices (id),
		PRIMARY KEY (word, device)
	)`,
	`CREATE INDEX estate_words_device ON estate_words (device, word)`,
	// newest is 1 for what was seen together last of its kind and port.
	`CREATE TABLE estate_evidence (
		device TEXT NOT NULL REFERENCES estate_devices (id),
		id     TEXT NOT NULL,
		kind   TEXT NOT NULL,
		port   BIGINT NOT NULL,
		value  BLOB NOT NULL,
		login  BIGINT NOT NULL,
		at     BIGINT NOT NULL,
		source TEXT NOT NULL,
		newest BIGINT NOT NULL,
		PRIMARY KEY (device, id)
	)`,
	// Written once, never changed. subject is "organisation", "site", "device".
	`CREATE TABLE estate_history (
		subject TEXT NOT NULL,
		id      TEXT NOT NULL,
		n       BIGINT NOT NULL,
		at      BIGINT NOT NULL,
		what    TEXT NOT NULL,
		was     TEXT NOT NULL,
		became  TEXT NOT NULL,
		who     TEXT NOT NULL,
		why     TEXT NOT NULL,
		PRIMARY KEY (subject, id, n)
	)`,
	// Two devices that may be one, and by what. settled is when a person said
	// that they are two.
	`CREATE TABLE estate_links (
		device  TEXT NOT NULL REFERENCES estate_devices (id),
		other   TEXT NOT NULL REFERENCES estate_devices (id),
		kind    TEXT NOT NULL,
		value   TEXT NOT NULL,
		why     TEXT NOT NULL,
		at      BIGINT NOT NULL,
		settled BIGINT NOT NULL,
		PRIMARY KEY (device, other, kind)
	)`,
	`CREATE INDEX estate_links_other ON estate_links (other)`,
	`CREATE TABLE estate_scans (
		id      TEXT PRIMARY KEY,
		who     TEXT NOT NULL,
		site    TEXT NOT NULL,
		ranges  TEXT NOT NULL,
		rate    BIGINT NOT NULL,
		state   TEXT NOT NULL,
		counts  TEXT NOT NULL,
		trouble TEXT NOT NULL,
		started BIGINT NOT NULL,
		ended   BIGINT NOT NULL
	)`,
	`CREATE INDEX estate_scans_started ON estate_scans (started, id)`,
	`CREATE TABLE estate_plans (
		site    TEXT PRIMARY KEY REFERENCES estate_sites (id),
		media   TEXT NOT NULL,
		width   BIGINT NOT NULL,
		height  BIGINT NOT NULL,
		image   BLOB NOT NULL,
		updated BIGINT NOT NULL
	)`,
	`CREATE TABLE estate_placements (
		device  TEXT PRIMARY KEY REFERENCES estate_devices (id),
		x       DOUBLE PRECISION NOT NULL,
		y       DOUBLE PRECISION NOT NULL,
		heading DOUBLE PRECISION NOT NULL,
		angle   DOUBLE PRECISION NOT NULL,
		reach   DOUBLE PRECISION NOT NULL
	)`,
	// How many devices there are of each sort, kept in step with their rows, so
	// that no plot has to count a hundred thousand.
	`CREATE TABLE estate_tallies (
		place      TEXT NOT NULL,
		state      TEXT NOT NULL,
		maker      TEXT NOT NULL,
		confidence TEXT NOT NULL,
		kind       TEXT NOT NULL,
		n          BIGINT NOT NULL,
		PRIMARY KEY (place, state, maker, confidence, kind)
	)`,
	// How many were seen first, adopted and removed on a day. The place is where
	// they were then.
	`CREATE TABLE estate_days (
		day   TEXT NOT NULL,
		place TEXT NOT NULL,
		event TEXT NOT NULL,
		n     BIGINT NOT NULL,
		PRIMARY KEY (day, place, event)
	)`,
	// Each camera that is there streams from a device of unknown maker, which a
	// person adopted by adding the camera.
	`INSERT INTO estate_devices (id, place, site, name, sorted, kind, camera, state, addresses, macs, serial, cert_sha256, hostname,
			brand, maker, confidence, identification, network, exposure, purpose, tag, cost, currency,
			first_seen, last_seen, deployed, adopted, removed, why_removed, last_scan)
		SELECT 'dev-' || id, 'default/:' || site, site, name, lower(name), 'camera', id, 'adopted', '[]', '[]', '', '', '',
			'', '', 'unknown', '{"brand":"","maker":"","maker_name":"","confidence":"unknown","because":null,"data":""}',
			'unknown', 'unknown', '', '', 0, '', created, created, 0, created, 0, '', ''
		FROM estate_cameras WHERE removed = 0`,
	`INSERT INTO estate_history (subject, id, n, at, what, was, became, who, why)
		SELECT 'device', id, 1, adopted, 'state', '', 'adopted', 'watchward', 'its camera was added before devices were kept' FROM estate_devices`,
	`INSERT INTO estate_tallies (place, state, maker, confidence, kind, n)
		SELECT place, state, maker, confidence, kind, count(*) FROM estate_devices GROUP BY place, state, maker, confidence, kind`,
	// The SHA-256 of the certificate that a person said is the camera's, in hex;
	// "": one that the system's authorities vouch for.
	`ALTER TABLE estate_cameras ADD COLUMN pin TEXT NOT NULL DEFAULT ''`,
	`CREATE INDEX estate_devices_scan ON estate_devices (last_scan, place, sorted, id, state, maker, confidence, kind)`,
}
