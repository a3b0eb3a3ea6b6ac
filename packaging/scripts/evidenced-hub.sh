package=evidenced-hub
started="evidenced-hub.service"
stopped="evidenced-hub.service"
state="/var/lib/evidenced-hub"
passing=""
config=/etc/evidenced-hub
accounts="user and group evidenced-hub"
