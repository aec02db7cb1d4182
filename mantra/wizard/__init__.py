"""The wizard "Publish data": from a source to a published data operation in four steps, without SQL."""
