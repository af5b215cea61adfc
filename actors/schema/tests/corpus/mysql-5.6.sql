create table keys_56 (a int primary key, g geometry not null, spatial key sg (g), fulltext key f (t) , t text) engine=myisam;
create table space_56 (a int primary key) engine=innodb data directory='/var/lib/elsewhere';
