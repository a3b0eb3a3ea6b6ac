package=evidenced
started="evidenced-sign.socket evidenced-upload.socket evidenced.service"
stopped="evidenced-firewall.timer evidenced.service evidenced-upload.socket evidenced-upload.service
    evidenced-sign.socket evidenced-sign.service"
by_hand=evidenced-firewall.timer
state="/var/lib/evidenced /var/lib/evidenced-upload /var/spool/evidenced"
passing="/run/evidenced /run/evidenced-firewall.json /var/cache/evidenced-collect"
config=/etc/evidenced
accounts="users evidenced, evidenced-collect, evidenced-upload and group evidenced-record"
