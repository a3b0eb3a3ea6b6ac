package=evidenced-hub
started="evidenced-hub.service"
stopped="evidenced-hub.service"
by_hand=""
state="/var/lib/evidenced-hub"
passing=""
config=/etc/evidenced-hub
accounts="user and group evidenced-hub"
