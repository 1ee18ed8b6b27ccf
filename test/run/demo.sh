#!/bin/bash
# demo.sh: demo/demo.sh against a throw-away server; started by prepare.sh
exec test/run/with_server.sh demo/demo.sh
