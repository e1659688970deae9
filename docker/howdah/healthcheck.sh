#!/bin/bash
# Healthy when Howdah says that it is ready. The image has no HTTP client; bash has sockets.
set -euo pipefail
exec 3<>/dev/tcp/127.0.0.1/9187
printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
