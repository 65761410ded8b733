# Instead of the home's own start files, in safe mode.
cd || true
PS1='(safe mode) \w\$ '
alias ls='ls --color=auto' ll='ls -l' grep='grep --color=auto'
case $LANG in
  zh*) echo '安全模式：不读取您的设置、软件包和启动文件。占用空间最多的内容：du -xah ~ | sort -h | tail -20' ;;
  *) echo 'Safe mode: your settings, packages and start files are not read. What takes most room: du -xah ~ | sort -h | tail -20' ;;
esac
