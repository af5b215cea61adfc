CREATE TABLE `temporal` (
  `id` int(11) NOT NULL,
  `a` date DEFAULT '2000-01-01',
  `b` time(3) DEFAULT NULL,
  `c` datetime DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `d` datetime(6) DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  `e` timestamp NOT NULL DEFAULT current_timestamp(),
  `f` timestamp(3) NULL DEFAULT NULL,
  `g` year(4) DEFAULT NULL,
  `h` timestamp NOT NULL DEFAULT '2001-02-03 04:05:06',
  `i` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  `j` date NOT NULL DEFAULT '0000-00-00',
  `k` timestamp NOT NULL DEFAULT '0000-00-00 00:00:00',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
