BEGIN TRANSACTION;
CREATE TABLE batch_cleared (
	definition BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	batch_run BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, tile, batch_run)
);
CREATE TABLE batch_counts (
	batch_run BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	received BIGINT NOT NULL, 
	counted BIGINT NOT NULL, 
	filtered BIGINT NOT NULL, 
	duplicates BIGINT NOT NULL, 
	dead BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (batch_run, generation), 
	FOREIGN KEY(batch_run) REFERENCES batch_runs (ordinal)
);
INSERT INTO "batch_counts" VALUES(1,1,20,20,0,0,0,2356153086);
CREATE TABLE batch_files (
	definition BIGINT NOT NULL, 
	batch_run BIGINT NOT NULL, 
	part TEXT NOT NULL, 
	place TEXT NOT NULL, 
	path TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	rows BIGINT NOT NULL, 
	first_tile BIGINT NOT NULL, 
	last_tile BIGINT NOT NULL, 
	first_bucket BIGINT NOT NULL, 
	last_bucket BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, batch_run, part)
)
 WITHOUT ROWID

;
CREATE TABLE batch_id_digests (
	definition BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	batch_run BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	counted BIGINT NOT NULL, 
	digest BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, tile, shard, batch_run, generation)
)
 WITHOUT ROWID

;
CREATE TABLE batch_ids (
	definition BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	batch_run BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	ids BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, tile, shard, batch_run, generation)
)
 WITHOUT ROWID

;
CREATE TABLE batch_left_out (
	batch_run BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	hash BIGINT NOT NULL, 
	content BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (batch_run, tile, shard, hash, content)
);
CREATE TABLE batch_runs (
	ordinal INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	definition INTEGER NOT NULL, 
	parent INTEGER, 
	boundary BIGINT NOT NULL, 
	file_sets JSON NOT NULL, 
	manifest JSON, 
	status TEXT NOT NULL, 
	built_for INTEGER, 
	conflicts BIGINT NOT NULL, 
	residue BIGINT NOT NULL, 
	settled BOOLEAN NOT NULL, 
	files_until BIGINT, 
	journal_until BIGINT, 
	missing JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	manifest_crc BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	UNIQUE (id), 
	FOREIGN KEY(definition) REFERENCES definitions (id), 
	FOREIGN KEY(parent) REFERENCES batch_runs (ordinal), 
	FOREIGN KEY(built_for) REFERENCES live_runs (id)
);
INSERT INTO "batch_runs" VALUES(1,'B1',1,NULL,1,'[]','{"counts": [{"generation": 1, "received": 20, "counted": 20, "filtered": 0, "duplicates": 0, "dead": 0}], "segments": [], "conflicts": 0, "newest": null, "early": []}','COMPLETE',NULL,0,0,0,NULL,1767600180000000,'[]',1767600000000000,1051576561,701116311);
CREATE TABLE batch_state_digests (
	definition BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	batch_run BIGINT NOT NULL, 
	rows BIGINT NOT NULL, 
	events BIGINT NOT NULL, 
	digest BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, tile, shard, batch_run)
)
 WITHOUT ROWID

;
INSERT INTO "batch_state_digests" VALUES(1,1767600000000000,0,1,2,4,X'EF7713C98251684A65877DDE3C1657A9',3341576266);
INSERT INTO "batch_state_digests" VALUES(1,1767600060000000,0,1,2,4,X'EF7713C98251684A65877DDE3C1657A9',2388885365);
INSERT INTO "batch_state_digests" VALUES(1,1767600120000000,0,1,2,4,X'EF7713C98251684A65877DDE3C1657A9',3374052780);
INSERT INTO "batch_state_digests" VALUES(1,1767600180000000,0,1,1,2,X'1D3D2CE29DE144635D2BB91B848D14BF',923340093);
INSERT INTO "batch_state_digests" VALUES(1,1767600240000000,0,1,1,2,X'1D3D2CE29DE144635D2BB91B848D14BF',4269838934);
INSERT INTO "batch_state_digests" VALUES(1,1767600300000000,0,1,2,4,X'EF7713C98251684A65877DDE3C1657A9',2621167967);
CREATE TABLE batch_states (
	definition BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
	tile BIGINT NOT NULL, 
	batch_run BIGINT NOT NULL, 
	events BIGINT NOT NULL, 
	states BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, "key", tile, batch_run)
)
 WITHOUT ROWID

;
INSERT INTO "batch_states" VALUES(1,'["ann"]',1767600000000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',2457916106);
INSERT INTO "batch_states" VALUES(1,'["ann"]',1767600060000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',1019513454);
INSERT INTO "batch_states" VALUES(1,'["ann"]',1767600120000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',2343376122);
INSERT INTO "batch_states" VALUES(1,'["ann"]',1767600180000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',2719021911);
INSERT INTO "batch_states" VALUES(1,'["ann"]',1767600240000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',2698731178);
INSERT INTO "batch_states" VALUES(1,'["ann"]',1767600300000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',397590590);
INSERT INTO "batch_states" VALUES(1,'["bob"]',1767600000000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',2372490156);
INSERT INTO "batch_states" VALUES(1,'["bob"]',1767600060000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',590154504);
INSERT INTO "batch_states" VALUES(1,'["bob"]',1767600120000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',2487522716);
INSERT INTO "batch_states" VALUES(1,'["bob"]',1767600300000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',140198232);
CREATE TABLE bucket_loads (
	definition BIGINT NOT NULL, 
	run TEXT NOT NULL, 
	loads BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, run)
)
 WITHOUT ROWID

;
INSERT INTO "bucket_loads" VALUES(1,'B1',X'',2690534889);
INSERT INTO "bucket_loads" VALUES(1,'L',X'',3162361072);
CREATE TABLE compactions (
	id TEXT NOT NULL, 
	definition BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	started_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
CREATE TABLE dead_letter_acts (
	definition BIGINT NOT NULL, 
	position TEXT NOT NULL, 
	"row" BIGINT NOT NULL, 
	ordinal BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	attempt BIGINT NOT NULL, 
	note TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, position, "row", ordinal), 
	FOREIGN KEY(definition) REFERENCES definitions (id)
)
 WITHOUT ROWID

;
CREATE TABLE dead_letter_replays (
	definition BIGINT NOT NULL, 
	original TEXT NOT NULL, 
	original_row BIGINT NOT NULL, 
	position TEXT NOT NULL, 
	"row" BIGINT NOT NULL, 
	live_run BIGINT NOT NULL, 
	batch_run BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	attempt BIGINT NOT NULL, 
	decoded BOOLEAN NOT NULL, 
	stage TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	seen_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, original, original_row, position, "row", live_run, batch_run), 
	FOREIGN KEY(definition) REFERENCES definitions (id)
)
 WITHOUT ROWID

;
CREATE TABLE dead_letter_rows (
	definition BIGINT NOT NULL, 
	position TEXT NOT NULL, 
	live_run BIGINT NOT NULL, 
	batch_run BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	rows BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, position, live_run, batch_run), 
	FOREIGN KEY(definition) REFERENCES definitions (id)
)
 WITHOUT ROWID

;
CREATE TABLE dead_letters (
	definition BIGINT NOT NULL, 
	position TEXT NOT NULL, 
	generation BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	replayed BIGINT NOT NULL, 
	dropped BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, position), 
	FOREIGN KEY(definition) REFERENCES definitions (id)
);
CREATE TABLE decision_episodes (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	version TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	ordinal BIGINT NOT NULL, 
	since BIGINT NOT NULL, 
	fired BIGINT NOT NULL, 
	last BIGINT NOT NULL, 
	until BIGINT NOT NULL, 
	resolved BIGINT, 
	state TEXT NOT NULL, 
	settled BIGINT NOT NULL, 
	settled_last BIGINT, 
	settled_resolved BIGINT, 
	revision BIGINT NOT NULL, 
	told BIGINT NOT NULL, 
	"into" TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	changed_at BIGINT NOT NULL, 
	acknowledged_at BIGINT NOT NULL, 
	acknowledged_by TEXT NOT NULL, 
	note TEXT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "decision_episodes" VALUES('15418eafbce927cf18fcf786','visits','busy','03993668593e3cb2','["ann"]',1,1767600000000000,1767600060000000,1767600360000000,1767600420000000,NULL,'CONFIRMED',1,1767600120000000,NULL,2,1,'',1767600000000000,1767600000000000,0,'','',4042095273);
INSERT INTO "decision_episodes" VALUES('acd415022a41f8991b6c7320','visits','busy','03993668593e3cb2','["bob"]',2,1767600000000000,1767600060000000,1767600120000000,1767600180000000,1767600240000000,'CONFIRMED',1,1767600120000000,NULL,3,1,'',1767600000000000,1767600000000000,0,'','',2640441158);
CREATE TABLE decision_grouped (
	ordinal INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	grouped_by TEXT NOT NULL, 
	start BIGINT NOT NULL, 
	"end" BIGINT NOT NULL, 
	payload TEXT NOT NULL, 
	crc BIGINT NOT NULL
);
CREATE TABLE decision_groups (
	name TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	grouped_by TEXT NOT NULL, 
	told BIGINT NOT NULL, 
	told_at BIGINT NOT NULL, 
	next_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name, rule, grouped_by)
);
CREATE TABLE decision_progress (
	name TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	version TEXT NOT NULL, 
	first BIGINT, 
	over_to BIGINT, 
	settled_to BIGINT, 
	dirty BIGINT NOT NULL, 
	passes BIGINT NOT NULL, 
	episodes BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name, rule)
);
INSERT INTO "decision_progress" VALUES('visits','busy','03993668593e3cb2',1767600000000000,1767600360000000,1767600120000000,0,9,2,3631360110);
INSERT INTO "decision_progress" VALUES('visits','gone','220689ef68f2e3d6',1767600000000000,1767600360000000,1767600120000000,0,9,0,3375955490);
CREATE TABLE decision_receipts (
	episode TEXT NOT NULL, 
	revision BIGINT NOT NULL, 
	receipt TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (episode, revision)
)
 WITHOUT ROWID

;
INSERT INTO "decision_receipts" VALUES('15418eafbce927cf18fcf786',1,'{"state": "TENTATIVE", "status": "firing", "rule_version": "03993668593e3cb2", "window": {"start": "2026-01-05T08:01:00Z", "end": "2026-01-05T08:02:00Z"}, "events": 2, "live_events": 2, "values": {"n": 2}, "baseline": {}, "compared": [], "resolved_by": null, "version": "344ea2992ab0d787", "publication": 1, "boundary": 0, "batch_run": null, "watermark": "2026-01-05T08:02:00Z", "decided_at": "2026-01-05T08:00:00Z"}',1767600000000000,1613671333);
INSERT INTO "decision_receipts" VALUES('15418eafbce927cf18fcf786',2,'{"state": "CONFIRMED", "status": "firing", "rule_version": "03993668593e3cb2", "window": {"start": "2026-01-05T08:01:00Z", "end": "2026-01-05T08:02:00Z"}, "events": 2, "live_events": 0, "values": {"n": 2}, "baseline": {}, "compared": [], "resolved_by": null, "version": "344ea2992ab0d787", "publication": 2, "boundary": 1, "batch_run": "B1", "watermark": "2026-01-05T08:06:00Z", "decided_at": "2026-01-05T08:00:00Z"}',1767600000000000,663323429);
INSERT INTO "decision_receipts" VALUES('acd415022a41f8991b6c7320',1,'{"state": "TENTATIVE", "status": "firing", "rule_version": "03993668593e3cb2", "window": {"start": "2026-01-05T08:01:00Z", "end": "2026-01-05T08:02:00Z"}, "events": 2, "live_events": 2, "values": {"n": 2}, "baseline": {}, "compared": [], "resolved_by": null, "version": "344ea2992ab0d787", "publication": 1, "boundary": 0, "batch_run": null, "watermark": "2026-01-05T08:02:00Z", "decided_at": "2026-01-05T08:00:00Z"}',1767600000000000,3600297839);
INSERT INTO "decision_receipts" VALUES('acd415022a41f8991b6c7320',2,'{"state": "TENTATIVE", "status": "resolved", "rule_version": "03993668593e3cb2", "window": {"start": "2026-01-05T08:01:00Z", "end": "2026-01-05T08:02:00Z"}, "events": 2, "live_events": 2, "values": {"n": 2}, "baseline": {}, "compared": [], "resolved_by": {"window": {"start": "2026-01-05T08:04:00Z", "end": "2026-01-05T08:05:00Z"}, "events": 0, "live_events": 0, "values": {}, "baseline": {}, "compared": []}, "version": "344ea2992ab0d787", "publication": 1, "boundary": 0, "batch_run": null, "watermark": "2026-01-05T08:05:00Z", "decided_at": "2026-01-05T08:00:00Z"}',1767600000000000,2629671019);
INSERT INTO "decision_receipts" VALUES('acd415022a41f8991b6c7320',3,'{"state": "CONFIRMED", "status": "resolved", "rule_version": "03993668593e3cb2", "window": {"start": "2026-01-05T08:01:00Z", "end": "2026-01-05T08:02:00Z"}, "events": 2, "live_events": 0, "values": {"n": 2}, "baseline": {}, "compared": [], "resolved_by": {"window": {"start": "2026-01-05T08:04:00Z", "end": "2026-01-05T08:05:00Z"}, "events": 0, "live_events": 0, "values": {}, "baseline": {}, "compared": []}, "version": "344ea2992ab0d787", "publication": 2, "boundary": 1, "batch_run": "B1", "watermark": "2026-01-05T08:06:00Z", "decided_at": "2026-01-05T08:00:00Z"}',1767600000000000,296318452);
CREATE TABLE decision_silences (
	ordinal INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	starts_at BIGINT NOT NULL, 
	ends_at BIGINT NOT NULL, 
	"by" TEXT NOT NULL, 
	note TEXT NOT NULL, 
	crc BIGINT NOT NULL
);
CREATE TABLE decision_verdicts (
	name TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	first BIGINT NOT NULL, 
	last BIGINT NOT NULL, 
	codes BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name, rule, "key")
)
 WITHOUT ROWID

;
INSERT INTO "decision_verdicts" VALUES('visits','busy','["ann"]',1767600000000000,1767600360000000,X'78016362020300003F000F',616143653);
INSERT INTO "decision_verdicts" VALUES('visits','busy','["bob"]',1767600000000000,1767600300000000,X'7801636262626060020000260009',1694091651);
INSERT INTO "decision_verdicts" VALUES('visits','busy','["cid"]',1767600360000000,1767600360000000,X'780163040000020002',2225141760);
INSERT INTO "decision_verdicts" VALUES('visits','gone','["ann"]',1767600000000000,1767600360000000,X'7801636404030000230008',2564152230);
INSERT INTO "decision_verdicts" VALUES('visits','gone','["bob"]',1767600000000000,1767600300000000,X'7801636464646060040000160005',1386924005);
INSERT INTO "decision_verdicts" VALUES('visits','gone','["cid"]',1767600360000000,1767600360000000,X'780163040000020002',177152892);
CREATE TABLE definitions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	version TEXT NOT NULL, 
	name TEXT NOT NULL, 
	text TEXT NOT NULL, 
	tile BIGINT NOT NULL, 
	lateness BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	UNIQUE (version)
);
INSERT INTO "definitions" VALUES(1,'344ea2992ab0d787','visits','
name: visits
source:
  schema:
    type: record
    name: Visit
    fields:
      - {name: id, type: string}
      - {name: at, type: {type: long, logicalType: timestamp-micros}}
      - {name: user, type: string}
      - {name: amount, type: long}
  format: json
  event_id: id
  event_time: at
key: [user]
tile: 1m
lateness: 0s
measures: {n: count, amount: {sum: amount}}
rules: {busy: {window: 1m, expr: n >= 2, for: 1m, keep_firing_for: 1m, to: log}, gone: {window: 1m, expr: n >= 100, no_data: alert, for: 2m, forget: 9m, to: log}}
',60000000,0,1767600000000000,2879594831);
CREATE TABLE drift (
	definition BIGINT NOT NULL, 
	run BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	reconciliation BIGINT NOT NULL, 
	live BIGINT NOT NULL, 
	batch BIGINT NOT NULL, 
	late BIGINT NOT NULL, 
	arrived BIGINT NOT NULL, 
	"left" BIGINT NOT NULL, 
	missing BIGINT NOT NULL, 
	extra BIGINT NOT NULL, 
	logic BIGINT NOT NULL, 
	live_digest BLOB NOT NULL, 
	batch_digest BLOB NOT NULL, 
	begun_at BIGINT, 
	agreed_at BIGINT, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, run, generation, tile)
)
 WITHOUT ROWID

;
CREATE TABLE file_contents (
	definition BIGINT NOT NULL, 
	batch_run BIGINT NOT NULL, 
	part TEXT NOT NULL, 
	contents BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, batch_run, part)
)
 WITHOUT ROWID

;
CREATE TABLE late_ids (
	run BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	hash BIGINT NOT NULL, 
	content BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, tile, shard, hash, content, generation)
)
 WITHOUT ROWID

;
CREATE TABLE late_ledger (
	run BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	lane TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, tile, generation, lane, number)
)
 WITHOUT ROWID

;
CREATE TABLE layer_lists (
	definition BIGINT NOT NULL, 
	revision BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition)
)
 WITHOUT ROWID

;
CREATE TABLE live_asides (
	run BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	token BLOB NOT NULL, 
	newest BIGINT NOT NULL, 
	states BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, tile, shard, token)
)
 WITHOUT ROWID

;
CREATE TABLE live_attempts (
	run BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	attempt BIGINT NOT NULL, 
	behind BOOLEAN NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, tile, shard)
)
 WITHOUT ROWID

;
CREATE TABLE live_id_digests (
	run BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	counted BIGINT NOT NULL, 
	seen BIGINT NOT NULL, 
	digest BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, tile, shard, generation)
)
 WITHOUT ROWID

;
INSERT INTO "live_id_digests" VALUES(1,1767600000000000,0,1,4,4,X'00000000000000000000000000000000',865756869);
INSERT INTO "live_id_digests" VALUES(1,1767600060000000,0,1,4,4,X'00000000000000000000000000000000',2060808698);
INSERT INTO "live_id_digests" VALUES(1,1767600120000000,0,1,4,4,X'00000000000000000000000000000000',1034812195);
INSERT INTO "live_id_digests" VALUES(1,1767600180000000,0,1,2,2,X'00000000000000000000000000000000',3700719225);
INSERT INTO "live_id_digests" VALUES(1,1767600240000000,0,1,2,2,X'00000000000000000000000000000000',354279698);
INSERT INTO "live_id_digests" VALUES(1,1767600300000000,0,1,4,4,X'00000000000000000000000000000000',1754126288);
INSERT INTO "live_id_digests" VALUES(1,1767600360000000,0,2,3,3,X'00000000000000000000000000000000',812692748);
CREATE TABLE live_ids (
	run BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	token BLOB NOT NULL, 
	newest BIGINT NOT NULL, 
	counted BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, tile, shard, token)
)
 WITHOUT ROWID

;
CREATE TABLE live_runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	definition INTEGER NOT NULL, 
	run TEXT NOT NULL, 
	journal TEXT NOT NULL, 
	base_boundary BIGINT NOT NULL, 
	base_batch_run INTEGER, 
	takeover JSON NOT NULL, 
	caught_up BOOLEAN NOT NULL, 
	status TEXT NOT NULL, 
	pruned_to BIGINT NOT NULL, 
	started_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	UNIQUE (definition, run), 
	FOREIGN KEY(definition) REFERENCES definitions (id), 
	FOREIGN KEY(base_batch_run) REFERENCES batch_runs (ordinal)
);
INSERT INTO "live_runs" VALUES(1,1,'L','',0,NULL,'[]',1,'LIVE',0,1767600000000000,624449999);
CREATE TABLE live_segments (
	run BIGINT NOT NULL, 
	lane TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	received BIGINT NOT NULL, 
	routed BIGINT NOT NULL, 
	filtered BIGINT NOT NULL, 
	late BIGINT NOT NULL, 
	dead BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, lane, number)
)
 WITHOUT ROWID

;
INSERT INTO "live_segments" VALUES(1,'L/0',1,1,2,2,0,0,0,2479495781);
INSERT INTO "live_segments" VALUES(1,'L/0',2,1,2,2,0,0,0,771782315);
INSERT INTO "live_segments" VALUES(1,'L/0',3,1,2,2,0,0,0,4086738734);
INSERT INTO "live_segments" VALUES(1,'L/0',4,1,2,2,0,0,0,2397415798);
INSERT INTO "live_segments" VALUES(1,'L/0',5,1,2,2,0,0,0,1400074483);
INSERT INTO "live_segments" VALUES(1,'L/0',6,1,2,2,0,0,0,4005108797);
INSERT INTO "live_segments" VALUES(1,'L/0',7,1,2,2,0,0,0,858768824);
INSERT INTO "live_segments" VALUES(1,'L/0',8,1,2,2,0,0,0,341774477);
INSERT INTO "live_segments" VALUES(1,'L/0',9,1,2,2,0,0,0,3385444616);
INSERT INTO "live_segments" VALUES(1,'L/0',10,1,2,2,0,0,0,2450083255);
INSERT INTO "live_segments" VALUES(1,'L/0',11,2,2,2,0,0,0,3598578227);
INSERT INTO "live_segments" VALUES(1,'L/0',12,2,1,1,0,0,0,1674754213);
CREATE TABLE live_shards (
	run BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	watermark BIGINT, 
	updated_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, shard)
)
 WITHOUT ROWID

;
INSERT INTO "live_shards" VALUES(1,-8,NULL,1767600000000000,1247055395);
INSERT INTO "live_shards" VALUES(1,-1,1767600420000000,1767600000000000,518401089);
INSERT INTO "live_shards" VALUES(1,0,NULL,1767600000000000,1028046394);
CREATE TABLE live_states (
	run BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
	tile BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	events BIGINT NOT NULL, 
	states BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, "key", tile, generation)
)
 WITHOUT ROWID

;
INSERT INTO "live_states" VALUES(1,'["ann"]',1767600000000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',555229738);
INSERT INTO "live_states" VALUES(1,'["ann"]',1767600060000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',2405202574);
INSERT INTO "live_states" VALUES(1,'["ann"]',1767600120000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',943055898);
INSERT INTO "live_states" VALUES(1,'["ann"]',1767600180000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',294128567);
INSERT INTO "live_states" VALUES(1,'["ann"]',1767600240000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',323202634);
INSERT INTO "live_states" VALUES(1,'["ann"]',1767600300000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',2754228446);
INSERT INTO "live_states" VALUES(1,'["ann"]',1767600360000000,2,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',3911704536);
INSERT INTO "live_states" VALUES(1,'["bob"]',1767600000000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',1056023372);
INSERT INTO "live_states" VALUES(1,'["bob"]',1767600060000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',2427845608);
INSERT INTO "live_states" VALUES(1,'["bob"]',1767600120000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',668755324);
INSERT INTO "live_states" VALUES(1,'["bob"]',1767600300000000,1,2,X'0109000000010200000000000000140000000102000000000000000100000100000002000000',3150164408);
INSERT INTO "live_states" VALUES(1,'["cid"]',1767600360000000,2,1,X'0109000000010100000000000000140000000101000000000000000100000100000001000000',3908860675);
CREATE TABLE live_tallies (
	run BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	counted BIGINT NOT NULL, 
	duplicates BIGINT NOT NULL, 
	conflicts BIGINT NOT NULL, 
	seen BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, tile, shard, generation)
)
 WITHOUT ROWID

;
INSERT INTO "live_tallies" VALUES(1,1767600000000000,0,1,4,0,0,4,976069525);
INSERT INTO "live_tallies" VALUES(1,1767600060000000,0,1,4,0,0,4,3188604480);
INSERT INTO "live_tallies" VALUES(1,1767600120000000,0,1,4,0,0,4,1866028679);
INSERT INTO "live_tallies" VALUES(1,1767600180000000,0,1,2,0,0,2,2996790966);
INSERT INTO "live_tallies" VALUES(1,1767600240000000,0,1,2,0,0,2,448256446);
INSERT INTO "live_tallies" VALUES(1,1767600300000000,0,1,4,0,0,4,1093869942);
INSERT INTO "live_tallies" VALUES(1,1767600360000000,0,2,3,0,0,3,2807966539);
CREATE TABLE live_totals (
	run BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	received BIGINT NOT NULL, 
	routed BIGINT NOT NULL, 
	filtered BIGINT NOT NULL, 
	late BIGINT NOT NULL, 
	dead BIGINT NOT NULL, 
	counted BIGINT NOT NULL, 
	duplicates BIGINT NOT NULL, 
	conflicts BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, shard, generation)
)
 WITHOUT ROWID

;
INSERT INTO "live_totals" VALUES(1,-8,1,20,20,0,0,0,0,0,0,1281955936);
INSERT INTO "live_totals" VALUES(1,-8,2,3,3,0,0,0,0,0,0,1858838221);
INSERT INTO "live_totals" VALUES(1,0,1,0,0,0,0,0,20,0,0,1450716722);
INSERT INTO "live_totals" VALUES(1,0,2,0,0,0,0,0,3,0,0,2275739769);
CREATE TABLE pointers (
	name TEXT NOT NULL, 
	publication INTEGER, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name), 
	FOREIGN KEY(publication) REFERENCES publications (ordinal)
);
INSERT INTO "pointers" VALUES('visits',2,3641752001);
CREATE TABLE publications (
	ordinal INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	definition INTEGER NOT NULL, 
	boundary BIGINT NOT NULL, 
	batch_run INTEGER, 
	live_run INTEGER, 
	kind TEXT NOT NULL, 
	note TEXT NOT NULL, 
	published_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	FOREIGN KEY(definition) REFERENCES definitions (id), 
	FOREIGN KEY(batch_run) REFERENCES batch_runs (ordinal), 
	FOREIGN KEY(live_run) REFERENCES live_runs (id)
);
INSERT INTO "publications" VALUES(1,'visits',1,0,NULL,1,'serve','',1767600000000000,2026368548);
INSERT INTO "publications" VALUES(2,'visits',1,1,1,1,'publish','',1767600000000000,2695458984);
CREATE TABLE receipts (
	reconciliation BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
	cause TEXT NOT NULL, 
	before_events BIGINT, 
	after_events BIGINT, 
	before_states BLOB, 
	after_states BLOB, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (reconciliation, tile, "key")
);
CREATE TABLE reconciliations (
	ordinal INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	definition BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	boundary BIGINT NOT NULL, 
	batch_run TEXT, 
	live_run TEXT, 
	repair TEXT, 
	publication BIGINT, 
	summary JSON NOT NULL, 
	crc BIGINT NOT NULL
);
CREATE TABLE removed_files (
	place TEXT NOT NULL, 
	path TEXT NOT NULL, 
	removed_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (place, path)
)
 WITHOUT ROWID

;
CREATE TABLE result_due (
	name TEXT NOT NULL, 
	tile BIGINT NOT NULL, 
	whole BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
	mark BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name, tile, whole, "key")
)
 WITHOUT ROWID

;
CREATE TABLE result_floors (
	name TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	closed_to BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE result_leases (
	name TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	fence BIGINT NOT NULL, 
	until BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "result_leases" VALUES('visits','first',1,1767600015000000,3010106109);
CREATE TABLE result_outbox (
	ordinal INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	output TEXT NOT NULL, 
	result TEXT NOT NULL, 
	start BIGINT NOT NULL, 
	"end" BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
	revision BIGINT NOT NULL, 
	pass_number BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	fence BIGINT NOT NULL, 
	id TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	base TEXT, 
	error TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL
);
CREATE TABLE result_outputs (
	name TEXT NOT NULL, 
	output TEXT NOT NULL, 
	sent BIGINT NOT NULL, 
	failures BIGINT NOT NULL, 
	next_at BIGINT NOT NULL, 
	error TEXT NOT NULL, 
	changed_at BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name, output)
);
INSERT INTO "result_outputs" VALUES('visits','log',5,0,0,'',1767600000000000,2114656659);
CREATE TABLE result_progress (
	name TEXT NOT NULL, 
	result TEXT NOT NULL, 
	on_time_to BIGINT, 
	final_to BIGINT, 
	settled_by BIGINT NOT NULL, 
	passes BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name, result)
);
CREATE TABLE result_revisions (
	name TEXT NOT NULL, 
	result TEXT NOT NULL, 
	start BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
	"end" BIGINT NOT NULL, 
	closes BIGINT NOT NULL, 
	revision BIGINT NOT NULL, 
	timing BIGINT NOT NULL, 
	events BIGINT NOT NULL, 
	answer TEXT, 
	id TEXT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name, result, start, "key")
)
 WITHOUT ROWID

;
CREATE TABLE result_specs (
	definition BIGINT NOT NULL, 
	name TEXT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, name), 
	FOREIGN KEY(definition) REFERENCES definitions (id)
);
INSERT INTO "result_specs" VALUES(1,'visits',3256054924);
CREATE TABLE result_waiting (
	name TEXT NOT NULL, 
	result TEXT NOT NULL, 
	start BIGINT NOT NULL, 
	"end" BIGINT NOT NULL, 
	whole BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
	mark BIGINT NOT NULL, 
	since BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (name, result, start, "end", whole, "key")
)
 WITHOUT ROWID

;
CREATE TABLE rollup_files (
	definition BIGINT NOT NULL, 
	grain BIGINT NOT NULL, 
	part TEXT NOT NULL, 
	prefix BIGINT NOT NULL, 
	place TEXT NOT NULL, 
	path TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	rows BIGINT NOT NULL, 
	first_tile BIGINT NOT NULL, 
	last_tile BIGINT NOT NULL, 
	first_bucket BIGINT NOT NULL, 
	last_bucket BIGINT NOT NULL, 
	contents BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, grain, part)
)
 WITHOUT ROWID

;
CREATE TABLE segment_tiles (
	definition BIGINT NOT NULL, 
	position TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	tiles BLOB NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (definition, position, number)
)
 WITHOUT ROWID

;
CREATE TABLE straddlers (
	run BIGINT NOT NULL, 
	tile BIGINT NOT NULL, 
	shard BIGINT NOT NULL, 
	hash BIGINT NOT NULL, 
	content BIGINT NOT NULL, 
	counted_generation BIGINT NOT NULL, 
	earlier_generation BIGINT NOT NULL, 
	crc BIGINT NOT NULL, 
	PRIMARY KEY (run, tile, shard, hash, content)
);
CREATE TABLE tandem_store (
	schema_version BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	commits BIGINT NOT NULL, 
	id TEXT NOT NULL, 
	PRIMARY KEY (schema_version)
);
INSERT INTO "tandem_store" VALUES(10,1796040573397496,64,'b4df0728afcd4666');
CREATE INDEX result_outbox_by_window ON result_outbox (name, result, start, "key");
CREATE INDEX result_outbox_by_output ON result_outbox (name, output, state, ordinal);
CREATE INDEX batch_states_by_run ON batch_states (batch_run, tile);
CREATE INDEX batch_ids_by_run ON batch_ids (batch_run, generation);
CREATE INDEX ix_definitions_name ON definitions (name);
CREATE INDEX batch_state_digests_by_run ON batch_state_digests (batch_run, tile);
CREATE INDEX ix_reconciliations_name ON reconciliations (name);
CREATE INDEX result_revisions_by_timing ON result_revisions (name, result, timing, closes);
CREATE INDEX decision_episodes_by_key ON decision_episodes (name, rule, "key", ordinal);
CREATE INDEX decision_grouped_by_group ON decision_grouped (name, rule, grouped_by, ordinal);
CREATE INDEX ix_batch_runs_definition ON batch_runs (definition);
CREATE INDEX dead_letters_by_status ON dead_letters (definition, status, count);
CREATE INDEX dead_letter_replays_by_place ON dead_letter_replays (definition, position);
CREATE INDEX ix_publications_name ON publications (name);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('definitions',1);
INSERT INTO "sqlite_sequence" VALUES('live_runs',1);
INSERT INTO "sqlite_sequence" VALUES('publications',2);
INSERT INTO "sqlite_sequence" VALUES('result_outbox',5);
INSERT INTO "sqlite_sequence" VALUES('batch_runs',1);
COMMIT;
