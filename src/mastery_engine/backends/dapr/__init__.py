"""State behind a Dapr sidecar's state API, which reads and writes keys that are named, and cannot list them.

What is to be found again stands in an index, so a key must live as long as anything that it leads to:

| key | holds | lives |
|---|---|---|
| ``d:TENANT:STUDENT`` | a document | retention + 1 days after its last write; the purge writes those that still count |
| ``c:TENANT:STUDENT:WRITE`` | cold ids | as long, from their own write: all of them are older than the retention then |
| ``d:TENANT:STUDENT:HASH``, ``c:TENANT:STUDENT:HASH:WRITE`` | the same in a course that is not default | the same |
| ``index:courses:TENANT:STUDENT:0`` | those courses | without end; ``all_keys`` takes out whose document expired |
| ``index:students:N`` | all documents' keys | without end; ``all_keys`` takes out those that expired |
| ``cohort:TENANT:ID`` | an admin's word | without end: nobody says it again |
| ``calendar:TENANT:ID`` | its calendar | as the word; where there is no word, a day |
| ``said:TENANT:STUDENT`` | what the words say of a student | without end: as the words; a day once none names them |
| ``index:put:TENANT:STUDENT:0`` | hints: words that may put a student in | without end: as the words |
| ``index:teaches:TENANT:NAME:0`` | hints: words of which a teacher may be so named | without end: as the words |
| ``index:joined-cohorts:0`` | cohorts that events name | without end; ``purge`` takes out those that nobody is in |
| ``index:joined:TENANT:ID:0`` | who joined a cohort, and when | retention + 1 days: each join writes it |
| ``joins:TENANT:STUDENT`` | the same by student | the same |
| ``first:TENANT:ID`` | the first event that named a cohort | as who joined: written once a day |
| ``marks:LOG`` | a checkpoint | without end: a quiet log has documents too |
| ``index:logs:0``, ``index:floods:LOG:0`` | logs with checkpoints; flooded partitions | without end |
| ``witness:PROCESS`` | see ``witness.py`` | a day; a process writes a new one where it is gone |
| ``r:TENANT:STUDENT:EVENT``, ``r:…/HASH`` | a refusal; in a course that is not default | retention + 1 days |
| ``index:refused:TENANT:STUDENT:0`` | those courses | as the last of them |
| ``index:refusals:0`` | all refusals | without end; ``purge`` takes out those that are gone |
| ``b:TENANT:BATCH`` | a batch | retention + 1 days after its last write; a day once it was removed |
| ``index:batches:0``, ``index:open-batches:0`` | all batches; those without an answer | without end; as for refusals |
| ``calibration:TENANT:COURSE`` | what a course learned of its forecasts | without end: for as long as the course |
| ``index:calibrations:TENANT:0`` | a tenant's courses that have one | without end |
| ``course:TENANT:COURSE`` | what admins set of a course | without end: nobody says it again |
| ``index:courses:TENANT:0`` | a tenant's courses | without end |
| ``credential:KEY`` | a platform's credential | without end: until it is revoked |
| ``index:credentials:0`` | which there are | without end |
| ``person:TENANT:STUDENT`` | a profile | without end: until it is removed |
| ``identity:TENANT:HASH`` | who has an identity on another platform | as the profile; a day once nobody has it |
| ``index:people:TENANT:N`` | the ids and names of those with profiles | without end |
| ``registry:TABLE:HASH`` | a small record | without end, or until it expires; a day once it was removed |
| ``index:registry:TABLE:N`` | the keys of a table | without end; ``purge`` takes out those that are gone |
| ``index:owned:TENANT:STUDENT:0`` | the records about a student | as the keys |
| ``delivery:SINK:HASH`` | a delivery to a sink | without end; 30 days once it ended; a day once it was removed |
| ``lane:SINK:HASH`` | who waits in a lane of it | without end; a day once nobody waits |
| ``index:delivery-lanes:SINK:N`` | lanes in which anybody waits | without end; who leases takes out the others |
| ``index:deliveries:SINK:N`` | the deliveries to a sink | without end; ``purge`` takes out those that are gone |
| ``index:deliveries-of:TENANT:STUDENT:0`` | the deliveries about a student | as the list of the sink |
| ``index:delivery-sinks:0`` | sinks that have deliveries | without end; ``purge`` takes out empty ones |
| ``i:HASH`` | what an Idempotency-Key stands for | 24 hours from the first call |
| ``audit:TENANT:N`` | a page of audit records | retention + 1 days after its last write |
| ``audit:TENANT`` | which pages there are | without end; a day once there are no records |
| ``index:audit-tenants:0`` | who has audit records | without end; ``purge`` takes out who has none |
| ``results:TENANT:SUBJECT``, ``result:…:KIND`` | cached results | five minutes; the kinds are written before each |
| ``ready`` | nothing: readiness tries a write | a minute |
| ``expiry:probe``, ``expiry:note`` | see ``expiry.py`` | without end, if the component lets them |

A set without names is a tombstone for a day, then gone. Until then its ETag moves on, so that a late writer loses.

An older engine gave an expiry to all of these. A value loses it whenever this engine writes it; each process writes an
index once although it changes nothing, and the daily purge and ``all_keys`` write those that they go through.
"""
