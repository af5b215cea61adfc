CREATE TABLE `defaults_expr` (
  `id` int(11) NOT NULL,
  `a` int(11) DEFAULT (1 + 2),
  `b` text DEFAULT 'long text',
  `c` text DEFAULT concat('a','b'),
  `d` uuid DEFAULT uuid(),
  `e` date DEFAULT curdate(),
  `f` blob DEFAULT 'x\'41',
  `g` datetime DEFAULT (current_timestamp() + interval 1 day),
  `h` varchar(20) DEFAULT 'it''s',
  `i` bigint(20) unsigned DEFAULT uuid_short(),
  `j` text DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
