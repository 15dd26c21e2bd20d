"""The vectors of tests/protocol, sent to other servers: how many each answers as the RFCs ask."""
