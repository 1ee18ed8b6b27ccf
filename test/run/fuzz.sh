#!/bin/bash
# fuzz.sh: test/check/fuzz.pl against a throw-away server; started by prepare.sh
exec test/run/with_server.sh perl test/check/fuzz.pl
