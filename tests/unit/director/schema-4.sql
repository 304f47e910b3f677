CREATE TABLE pruning (
	"before" VARCHAR(20) NOT NULL, 
	PRIMARY KEY ("before")
);
CREATE TABLE pending_keys (
	vehicle VARCHAR(128) NOT NULL, 
	ecu VARCHAR(128) NOT NULL, 
	key_identity VARCHAR(64) NOT NULL, 
	description TEXT NOT NULL, 
	first_seen VARCHAR(20) NOT NULL, 
	last_seen VARCHAR(20) NOT NULL, 
	PRIMARY KEY (vehicle, ecu, key_identity)
);
CREATE TABLE serial_owners (
	ecu VARCHAR(128) NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	declared_at VARCHAR(20) NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	PRIMARY KEY (ecu)
);
CREATE TABLE delivered_software (
	vehicle VARCHAR(128) NOT NULL, 
	ecu VARCHAR(128) NOT NULL, 
	path TEXT NOT NULL, 
	length BIGINT NOT NULL, 
	hashes TEXT NOT NULL, 
	declared_at VARCHAR(20) NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	PRIMARY KEY (vehicle, ecu)
);
CREATE TABLE rekey_permissions (
	number INTEGER NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	created_at VARCHAR(20) NOT NULL, 
	expires VARCHAR(20) NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	keys_changed_at VARCHAR(20), 
	certificate_issued_at VARCHAR(20), 
	PRIMARY KEY (number)
);
CREATE INDEX ix_rekey_permissions_vehicle ON rekey_permissions (vehicle);
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
CREATE TABLE vehicles (
	vehicle VARCHAR(128) NOT NULL, 
	registered_at VARCHAR(20) NOT NULL, 
	last_manifest INTEGER, 
	last_manifest_at VARCHAR(20), 
	revision INTEGER NOT NULL, 
	planned_from VARCHAR(64), 
	wire VARCHAR(16) DEFAULT 'tuf' NOT NULL, 
	identified_by VARCHAR(16), 
	retired_at VARCHAR(20), 
	PRIMARY KEY (vehicle)
);
CREATE TABLE enrolment_tokens (
	number INTEGER NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	created_at VARCHAR(20) NOT NULL, 
	expires VARCHAR(20) NOT NULL, 
	used_for VARCHAR(64), 
	PRIMARY KEY (number), 
	UNIQUE (digest)
);
CREATE INDEX ix_enrolment_tokens_vehicle ON enrolment_tokens (vehicle);
CREATE TABLE junk (
	vehicle VARCHAR(128) NOT NULL, 
	code VARCHAR(64) NOT NULL, 
	day VARCHAR(10) NOT NULL, 
	count BIGINT NOT NULL, 
	first_at VARCHAR(20) NOT NULL, 
	last_at VARCHAR(20) NOT NULL, 
	first_sample BLOB NOT NULL, 
	last_sample BLOB NOT NULL, 
	PRIMARY KEY (vehicle, code, day)
);
CREATE TABLE known_images (
	image VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	entry TEXT NOT NULL, 
	seen_at VARCHAR(20) NOT NULL, 
	PRIMARY KEY (image)
);
CREATE INDEX ix_known_images_path ON known_images (path);
CREATE TRIGGER known_images_no_update BEFORE UPDATE ON known_images BEGIN SELECT RAISE(ABORT, 'known_images is append-only'); END;
CREATE TRIGGER known_images_no_delete BEFORE DELETE ON known_images BEGIN SELECT RAISE(ABORT, 'known_images is append-only'); END;
CREATE TABLE roots (
	version BIGINT NOT NULL, 
	data BLOB NOT NULL, 
	published_at VARCHAR(20) NOT NULL, 
	PRIMARY KEY (version)
);
CREATE TRIGGER roots_no_update BEFORE UPDATE ON roots BEGIN SELECT RAISE(ABORT, 'roots is append-only'); END;
CREATE TRIGGER roots_no_delete BEFORE DELETE ON roots BEGIN SELECT RAISE(ABORT, 'roots is append-only'); END;
CREATE TABLE trusted_files (
	repository VARCHAR(128) NOT NULL, 
	role VARCHAR(512) NOT NULL, 
	version BIGINT NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (repository, role, version)
);
CREATE TABLE trusted_floors (
	repository VARCHAR(128) NOT NULL, 
	role VARCHAR(512) NOT NULL, 
	floor BLOB NOT NULL, 
	PRIMARY KEY (repository, role)
);
CREATE TABLE signing_clock (
	name VARCHAR(16) NOT NULL, 
	at VARCHAR(20) NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE wire_roots (
	profile VARCHAR(16) NOT NULL, 
	version BIGINT NOT NULL, 
	data BLOB NOT NULL, 
	published_at VARCHAR(20) NOT NULL, 
	PRIMARY KEY (profile, version)
);
CREATE TRIGGER wire_roots_no_update BEFORE UPDATE ON wire_roots BEGIN SELECT RAISE(ABORT, 'wire_roots is append-only'); END;
CREATE TRIGGER wire_roots_no_delete BEFORE DELETE ON wire_roots BEGIN SELECT RAISE(ABORT, 'wire_roots is append-only'); END;
CREATE TABLE issued_certificates (
	number INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	serial VARCHAR(64) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	issued_at VARCHAR(20) NOT NULL, 
	not_after VARCHAR(20) NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (serial), 
	UNIQUE (fingerprint)
);
CREATE INDEX ix_issued_certificates_name ON issued_certificates (name);
CREATE TRIGGER issued_certificates_no_update BEFORE UPDATE ON issued_certificates BEGIN SELECT RAISE(ABORT, 'issued_certificates is append-only'); END;
CREATE TRIGGER issued_certificates_no_delete BEFORE DELETE ON issued_certificates BEGIN SELECT RAISE(ABORT, 'issued_certificates is append-only'); END;
CREATE TABLE revoked_certificates (
	fingerprint VARCHAR(64) NOT NULL, 
	revoked_at VARCHAR(20) NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	PRIMARY KEY (fingerprint)
);
CREATE TRIGGER revoked_certificates_no_update BEFORE UPDATE ON revoked_certificates BEGIN SELECT RAISE(ABORT, 'revoked_certificates is append-only'); END;
CREATE TRIGGER revoked_certificates_no_delete BEFORE DELETE ON revoked_certificates BEGIN SELECT RAISE(ABORT, 'revoked_certificates is append-only'); END;
CREATE TABLE audit (
	number INTEGER NOT NULL, 
	at VARCHAR(20) NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	action VARCHAR(64) NOT NULL, 
	vehicle VARCHAR(128), 
	detail TEXT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE INDEX ix_audit_vehicle ON audit (vehicle);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TABLE ecus (
	ecu VARCHAR(128) NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	hardware_id VARCHAR(128) NOT NULL, 
	primary_ecu BOOLEAN NOT NULL, 
	verification VARCHAR(16) NOT NULL, 
	keyid VARCHAR(128) NOT NULL, 
	keytype VARCHAR(64) NOT NULL, 
	scheme VARCHAR(64) NOT NULL, 
	public TEXT NOT NULL, 
	key_identity VARCHAR(64) NOT NULL, 
	last_report INTEGER, 
	retired_at VARCHAR(20), 
	retired_key VARCHAR(64), 
	released_at VARCHAR(20), 
	missing_since VARCHAR(20), 
	out_of_order_at VARCHAR(20), 
	PRIMARY KEY (ecu), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle), 
	UNIQUE (key_identity)
);
CREATE INDEX ix_ecus_retired_key ON ecus (retired_key);
CREATE INDEX ix_ecus_vehicle ON ecus (vehicle);
CREATE TABLE manifests (
	number INTEGER NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	received_at VARCHAR(20) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	data BLOB NOT NULL, 
	accepted BOOLEAN NOT NULL, 
	refusal TEXT, 
	PRIMARY KEY (number), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle)
);
CREATE INDEX ix_manifests_vehicle ON manifests (vehicle);
CREATE INDEX manifests_by_digest ON manifests (vehicle, digest);
CREATE TRIGGER manifests_no_update BEFORE UPDATE ON manifests BEGIN SELECT RAISE(ABORT, 'manifests is append-only'); END;
CREATE TRIGGER manifests_no_delete BEFORE DELETE ON manifests WHEN NOT EXISTS (SELECT 1 FROM pruning) BEGIN SELECT RAISE(ABORT, 'manifests is append-only'); END;
CREATE TABLE signed_metadata (
	vehicle VARCHAR(128) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	version BIGINT NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (vehicle, role, version), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle)
);
CREATE TRIGGER signed_metadata_no_update BEFORE UPDATE ON signed_metadata BEGIN SELECT RAISE(ABORT, 'signed_metadata is append-only'); END;
CREATE TRIGGER signed_metadata_no_delete BEFORE DELETE ON signed_metadata BEGIN SELECT RAISE(ABORT, 'signed_metadata is append-only'); END;
CREATE TABLE telemetry (
	vehicle VARCHAR(128) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	received_at VARCHAR(20) NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (vehicle, kind), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle)
);
CREATE TABLE device_events (
	number INTEGER NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	event VARCHAR(64) NOT NULL, 
	received_at VARCHAR(20) NOT NULL, 
	device_time VARCHAR(20) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	kind_version BIGINT NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (number), 
	CONSTRAINT one_row_per_device_event UNIQUE (vehicle, event), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle)
);
CREATE INDEX ix_device_events_vehicle ON device_events (vehicle);
CREATE TRIGGER device_events_no_update BEFORE UPDATE ON device_events BEGIN SELECT RAISE(ABORT, 'device_events is append-only'); END;
CREATE TRIGGER device_events_no_delete BEFORE DELETE ON device_events WHEN NOT EXISTS (SELECT 1 FROM pruning) BEGIN SELECT RAISE(ABORT, 'device_events is append-only'); END;
CREATE TABLE report_counters (
	ecu VARCHAR(128) NOT NULL, 
	key_identity VARCHAR(64) NOT NULL, 
	highest BIGINT, 
	base BIGINT NOT NULL, 
	evidence_counter BIGINT, 
	PRIMARY KEY (ecu, key_identity), 
	FOREIGN KEY(ecu) REFERENCES ecus (ecu)
);
CREATE TABLE acknowledged_reports (
	ecu VARCHAR(128) NOT NULL, 
	key_identity VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	PRIMARY KEY (ecu, key_identity), 
	FOREIGN KEY(ecu) REFERENCES ecus (ecu)
);
CREATE TABLE spent_reports (
	ecu VARCHAR(128) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	PRIMARY KEY (ecu, digest), 
	FOREIGN KEY(ecu) REFERENCES ecus (ecu)
);
CREATE TABLE counter_resets (
	number INTEGER NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	ecu VARCHAR(128) NOT NULL, 
	key_identity VARCHAR(64) NOT NULL, 
	nonce VARCHAR(64) NOT NULL, 
	created_at VARCHAR(20) NOT NULL, 
	expires VARCHAR(20) NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	confirmed_by VARCHAR(128), 
	used_at VARCHAR(20), 
	PRIMARY KEY (number), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle), 
	FOREIGN KEY(ecu) REFERENCES ecus (ecu)
);
CREATE INDEX ix_counter_resets_vehicle ON counter_resets (vehicle);
CREATE TABLE key_changes (
	number INTEGER NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	ecu VARCHAR(128) NOT NULL, 
	key_identity VARCHAR(64) NOT NULL, 
	new_ecu VARCHAR(128) NOT NULL, 
	description TEXT, 
	created_at VARCHAR(20) NOT NULL, 
	expires VARCHAR(20) NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	confirmed_by VARCHAR(128), 
	used_at VARCHAR(20), 
	PRIMARY KEY (number), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle), 
	FOREIGN KEY(ecu) REFERENCES ecus (ecu)
);
CREATE INDEX ix_key_changes_vehicle ON key_changes (vehicle);
CREATE TABLE reports (
	number INTEGER NOT NULL, 
	manifest INTEGER NOT NULL, 
	ecu VARCHAR(128) NOT NULL, 
	key_identity VARCHAR(64) NOT NULL, 
	reported_time VARCHAR(20) NOT NULL, 
	counter BIGINT, 
	nonce VARCHAR(256), 
	path TEXT NOT NULL, 
	length BIGINT NOT NULL, 
	hashes TEXT NOT NULL, 
	release_counter BIGINT, 
	attack TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (number), 
	CONSTRAINT one_report_per_key_and_counter UNIQUE (ecu, key_identity, counter), 
	CONSTRAINT one_report_per_key_and_nonce UNIQUE (ecu, key_identity, nonce), 
	FOREIGN KEY(manifest) REFERENCES manifests (number), 
	FOREIGN KEY(ecu) REFERENCES ecus (ecu)
);
CREATE INDEX ix_reports_ecu ON reports (ecu);
CREATE INDEX ix_reports_manifest ON reports (manifest);
CREATE TRIGGER reports_no_update BEFORE UPDATE ON reports BEGIN SELECT RAISE(ABORT, 'reports is append-only'); END;
CREATE TRIGGER reports_no_delete BEFORE DELETE ON reports WHEN NOT EXISTS (SELECT 1 FROM pruning) BEGIN SELECT RAISE(ABORT, 'reports is append-only'); END;
CREATE TABLE events (
	number INTEGER NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	manifest INTEGER, 
	ecu VARCHAR(128), 
	at VARCHAR(20) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	code VARCHAR(64) NOT NULL, 
	detail TEXT NOT NULL, 
	evidence VARCHAR(64), 
	data TEXT, 
	PRIMARY KEY (number), 
	FOREIGN KEY(manifest) REFERENCES manifests (number)
);
CREATE INDEX ix_events_vehicle ON events (vehicle);
CREATE INDEX ix_events_manifest ON events (manifest);
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events WHEN NOT EXISTS (SELECT 1 FROM pruning) BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;
CREATE TABLE assignments (
	ecu VARCHAR(128) NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	path TEXT NOT NULL, 
	assigned_at VARCHAR(20) NOT NULL, 
	actor VARCHAR(128) NOT NULL, 
	PRIMARY KEY (ecu), 
	FOREIGN KEY(ecu) REFERENCES ecus (ecu), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle)
);
CREATE INDEX ix_assignments_vehicle ON assignments (vehicle);
CREATE TABLE decisions (
	number INTEGER NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	made_at VARCHAR(20) NOT NULL, 
	outcome VARCHAR(16) NOT NULL, 
	orders TEXT NOT NULL, 
	entries TEXT NOT NULL, 
	reasons TEXT NOT NULL, 
	correlation_id VARCHAR(128) NOT NULL, 
	manifest INTEGER, 
	versions TEXT NOT NULL, 
	PRIMARY KEY (number), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle), 
	FOREIGN KEY(manifest) REFERENCES manifests (number)
);
CREATE INDEX ix_decisions_vehicle ON decisions (vehicle);
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only'); END;
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only'); END;
CREATE TABLE outstanding (
	vehicle VARCHAR(128) NOT NULL, 
	ecu VARCHAR(128) NOT NULL, 
	image VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	length BIGINT NOT NULL, 
	hashes TEXT NOT NULL, 
	withdrawn BOOLEAN NOT NULL, 
	PRIMARY KEY (vehicle, ecu, image), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle), 
	FOREIGN KEY(ecu) REFERENCES ecus (ecu)
);
CREATE TABLE issues (
	number INTEGER NOT NULL, 
	vehicle VARCHAR(128) NOT NULL, 
	decision INTEGER NOT NULL, 
	root BIGINT NOT NULL, 
	targets BIGINT NOT NULL, 
	snapshot BIGINT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	issued_at VARCHAR(20) NOT NULL, 
	expires VARCHAR(20) NOT NULL, 
	PRIMARY KEY (number), 
	FOREIGN KEY(vehicle) REFERENCES vehicles (vehicle), 
	FOREIGN KEY(decision) REFERENCES decisions (number)
);
CREATE INDEX ix_issues_vehicle ON issues (vehicle);
CREATE TRIGGER issues_no_update BEFORE UPDATE ON issues BEGIN SELECT RAISE(ABORT, 'issues is append-only'); END;
CREATE TRIGGER issues_no_delete BEFORE DELETE ON issues BEGIN SELECT RAISE(ABORT, 'issues is append-only'); END;
INSERT INTO schema_version (version) VALUES (4);
