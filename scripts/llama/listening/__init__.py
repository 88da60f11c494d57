"""What is heard: Kafka, the archive of every record, and the spool that hands records on."""
