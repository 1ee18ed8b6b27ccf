#!/bin/bash
# doc: the examples of README.md and doc/*.md print what is shown below them, their links lead somewhere, and doc/errors.md
# has each message that the sources raise, and no other
test/run/with_server.sh perl test/run/doc_examples.pl README.md doc/*.md
